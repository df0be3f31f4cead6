"""The library speaks of values; the command line adds flags, and only there are they known."""

import ast
import pickle
import re

import pytest
from parsed import PATHS, trees

from kinflow.cli.flags import flag_of, with_flags
from kinflow.cli.main import main
from kinflow.errors import InputError

PAGES = ("datasets/readers/page.py",)
"""What they hold is written to the documentation."""
LIBRARY = [name for name in PATHS if not name.startswith("cli/") and name not in PAGES]
NOT_OURS = ("--write_json", "--upgrade")
"""Flags of other programs that sentences name."""


def test_flags_stand_behind_the_words_that_speak_of_an_option():
    options = {"part maps": "part_maps", "overwrite it": "overwrite"}
    sentence = "part maps: give either part maps or nothing, or overwrite it."
    assert with_flags(sentence, options) == (
        "part maps: give either part maps (--parts) or nothing, or overwrite it (--overwrite)."
    )
    assert with_flags("Something else.", options) == "Something else."


def test_options_of_an_error_travel_with_it():
    error = pickle.loads(pickle.dumps(InputError("Ask to overwrite it.", {"it": "overwrite"})))
    assert (str(error), error.options) == ("Ask to overwrite it.", {"it": "overwrite"})
    assert InputError("x").options == {}


def test_no_sentence_of_the_library_names_a_flag():
    found = []
    for name in LIBRARY:
        nodes = list(ast.walk(trees()[name]))
        documentation = {node.value for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if node in documentation:
                    continue
                flags = re.findall(r"(?<![\w-])--[a-z][\w-]*", node.value)
                found += [(name, flag) for flag in flags if flag not in NOT_OURS]
    assert found == []


def named_options() -> set[str]:
    """Every option that an error of the library speaks of."""
    names = set()
    for name in LIBRARY:
        for node in ast.walk(trees()[name]):
            is_error = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "InputError"
            if is_error and len(node.args) > 1 and isinstance(node.args[1], ast.Dict):
                names |= {v.value for v in node.args[1].values if isinstance(v, ast.Constant)}
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith("_option"):
                names.add(ast.literal_eval(node.value))  # said by a base class
    return names


def test_every_option_that_errors_speak_of_has_a_flag(capsys):
    known = ""
    trained = [["train", what] for what in ("prior", "parts", "predictor", "image-predictor")]
    for command in (
        ["reconstruct"],
        *trained,
        ["synth"],
        ["serve"],
        ["convert"],
        ["data", "truth"],
        ["data", "look-clips"],
    ):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        known += capsys.readouterr().out
    names = named_options()
    assert {"overwrite", "keypoints", "masks", "out", "vae.learning_rate"} <= names
    for name in names:
        assert re.search(rf"(?<![\w-]){re.escape(flag_of(name))}(?![\w.-])", known), name
