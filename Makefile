# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-output
PYTHONS ?=

.PHONY: demo test lint types site release clean

demo: $(VENV)/.demo
	$(BIN)/kinflow demo --out $(OUT) --overwrite

# three on two cores, for some tests wait; commands that tests run in processes of their own start
# sooner if what one has compiled is kept
test: $(VENV)/.dev
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 3 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/pyright --pythonpath $(BIN)/python

# `make release PYTHONS="python3.10 python3.13"` also installs the wheel in these and runs the demo
release: $(VENV)/bin/python
	$(BIN)/python tools/check_release.py --python $(PYTHONS)

site: $(VENV)/.dev
	$(BIN)/python tools/build_site.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# what is imported is compiled then; pip would compile all that it installs, most of which nobody imports
$(VENV)/.demo: pyproject.toml constraints.txt $(VENV)/bin/python
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable '.[demo]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/bin/python
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist demo-output .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
