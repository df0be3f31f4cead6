"""Files that a hosting platform reads: forms of issues, the citation."""

import re
from pathlib import Path

import pytest

from kinflow.version import __version__

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
FORMS = sorted(p for p in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if p.stem != "config")


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_forms_of_issues_are_forms(form):
    # https://docs.github.com, "Syntax for issue forms"
    document = yaml.safe_load(form.read_text(encoding="utf8"))
    assert {"name", "description", "body"} <= set(document) <= {
        "name", "description", "title", "labels", "assignees", "body",
    }  # fmt: skip
    known = {"markdown", "input", "textarea", "dropdown", "checkboxes"}
    ids = [item["id"] for item in document["body"] if item["type"] != "markdown"]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[\w-]+", name) for name in ids)
    labels = []
    for item in document["body"]:
        assert item["type"] in known
        if item["type"] != "markdown":
            labels.append(item["attributes"]["label"])
        if item["type"] == "dropdown":
            assert item["attributes"]["options"]
    assert len(set(labels)) == len(labels)


def test_a_maintainer_gets_the_report():
    asked = {form.stem: "kinflow report" in form.read_text(encoding="utf8") for form in FORMS}
    assert asked == {"crash": True, "dataset": True, "question": False, "wrong_body": True}


def test_the_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert str(citation["version"]) == __version__
    assert citation["license"] == "Apache-2.0"
    (paper,) = citation["references"]
    assert "Normalizing Flows" in paper["title"]
    assert [author["family-names"] for author in paper["authors"]][0] == "Zanfir"
