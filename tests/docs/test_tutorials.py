"""The tutorials, typed from first to last line, each in the folder that those before it left."""

import re
import shlex

import pytest
from doc_blocks import blocks_of
from not_run import NOT_RUN

from kinflow.cli.main import parse

ORDER = (
    "photo", "clip", "serve", "detections", "body", "prior", "evaluate", "predictor", "cluster",
)  # fmt: skip
"""Each may use what those before it have made."""

DEMO = "kinflow demo --out demo"
"""What the session begins with."""


def page_of(name):
    return f"docs/tutorials/{name}.md"


@pytest.mark.parametrize("name", ORDER)
def test_a_tutorial_works_as_it_is_written(name, session):
    names: dict = {}
    left_out = NOT_RUN.get(page_of(name), {})
    for block in blocks_of(page_of(name)):
        if block.language == "python":
            session.python(block.text, names)
        for line in block.commands if block.language == "shell" else ():
            if line in left_out:
                assert shlex.split(line)[0] != "kinflow" or callable(parse(shlex.split(line)[1:]))
            elif line != DEMO:
                session.shell(line)
    session.end()


def test_what_tutorials_promise_is_there(session):
    """Runs after the tutorials, in their folder."""
    for made in (
        "results/photo/overlay.png", "moving/walk/scene.glb", "motion/person_0.bvh", "clean.bvh",
        "from-server/people.json", "mine/photo/people.json", "outlined/photo/people.npz",
        "smplh/person_0_smplh_poses.npz", "theirs/photo/scene.glb", "run/log.csv",
        "samples/samples.png", "by-my-prior/photo/overlay.png", "report/figures.csv",
        "network/predictor.safetensors", "shards/index.json",
    ):  # fmt: skip
        assert (session.folder / made).stat().st_size > 0, made
    assert re.search(
        r"people\.json: read as",
        session.outputs["kinflow reconstruct photo.png --out mine --keypoints people.json"],
    )
