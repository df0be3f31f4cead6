"""What stands on the other pages, typed or run, each page in a folder with what it speaks of."""

import json
import shlex
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from clips import write_clip
from doc_blocks import PAGES, blocks_in, blocks_of
from not_run import AT_MOST, NOT_RUN, REASONS
from page_session import Session
from PIL import Image

import kinflow
from kinflow.cli.main import main, parse
from kinflow.evidence.video_files import Clip
from kinflow.priors.dynamics import LatentMotion

SMALLER = {
    "kinflow reconstruct walk.mp4 --out results": "--end 0.5",
    "kinflow reconstruct clip.mp4 --out quick --fast": "--end 0.5",
    "kinflow reconstruct pan.mp4 --out panned --moving-camera": "--end 0.5",
    "kinflow motion sample --file walk.bvh --out on.bvh --seconds 5 --temperature 0.7": (
        "--seconds 1"
    ),
    "kinflow train prior --data poses.safetensors --out runs/flow": (
        "--flow.blocks 1 --flow.hidden 8 --flow.max-steps 4 --flow.eval-every 2"
    ),
    "kinflow train prior --data poses.safetensors --out run": (
        "--flow.blocks 1 --flow.hidden 8 --flow.max-steps 4 --flow.eval-every 2"
    ),
    "kinflow train prior --data poses.safetensors --out runs/gmm --family gmm": (
        "--gmm-components 1"
    ),
}
"""Options that are added to a command, so that it ends in seconds."""

_TUTORIALS = "docs/tutorials/"
TYPED = [page for page in PAGES if not page.startswith(_TUTORIALS)]


def key_of(block):
    return block.text.splitlines()[0]


def left_out(page):
    return NOT_RUN.get(page, {})


def runnable(page):
    """Commands and programs of a page that are to be run, in its order."""
    for block in blocks_of(page):
        if block.language == "shell":
            yield from (("shell", line) for line in block.commands if line not in left_out(page))
        elif block.language == "python" and key_of(block) not in left_out(page):
            yield "python", block.text


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, demo_run, astronaut_rgb):
    """What pages take for granted, by the names that they have there."""
    folder = tmp_path_factory.mktemp("shelf")
    _, demo = demo_run
    photo = Image.fromarray(astronaut_rgb)
    for name in ("photo.jpg", "holiday/beach.jpg", "more/b.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        photo.resize((320, 320)).save(folder / name)
    (folder / "path/to/photographs").mkdir(parents=True)
    wall = np.random.default_rng(0).integers(90, 130, (12, 16, 3), np.uint8)
    Image.fromarray(wall).resize((640, 480)).save(folder / "path/to/photographs/wall.jpg")
    _keypoints(folder)
    _maps(folder)
    _clips(folder, demo / "walk.webm")
    _motion(folder, demo / "walk" / "person_0.bvh")
    for name in ("a", "b"):
        shutil.copytree(demo / "astronaut", folder / "results" / name)
    shutil.copy(demo / "astronaut" / "people.npz", folder)
    shutil.copytree(demo / "walk", folder / "walk")
    shutil.copy(demo / "walk.webm", folder)
    return folder


def _keypoints(folder):
    """COCO's 17, of which shoulders and elbows are seen, in the photo's 320 pixels."""
    points = [[112, 81], [169, 81], [94, 187], [187, 187]]
    rows = [[0, 0, 0]] * 5 + [[x, y, 1] for x, y in points] + [[0, 0, 0]] * 8
    text = json.dumps([{"keypoints": sum(rows, []), "score": 0.9}])
    (folder / "openpose-json").mkdir()
    for name in ("people.json", "openpose-json/beach.json"):
        (folder / name).write_text(text)


def _maps(folder):
    ids = np.zeros((320, 320), np.uint8)
    ids[144:, 37:206] = 5  # upper-clothes of LIP
    ids[12:144, 100:181] = 13  # face
    for name, values in (("maps", ids), ("silhouettes", 255 * (ids > 0).astype(np.uint8))):
        (folder / name).mkdir()
        Image.fromarray(values).save(folder / name / "photo.png")


def _clips(folder, walk):
    """Eight frames a second, so that what begins at two seconds has a few frames."""
    frames = [frame.rgb for frame in Clip.open(walk).frames()][:20]
    (folder / "frames").mkdir()
    for number, rgb in enumerate(frames[:4]):
        Image.fromarray(rgb).save(folder / "frames" / f"{number:05d}.png")
    write_clip(folder / "walk.mp4", frames, 8.0)
    for name in ("clip.mp4", "pan.mp4"):
        shutil.copy(folder / "walk.mp4", folder / name)


def _motion(folder, bvh):
    for name in ("walk.bvh", "theirs.bvh", "path/to/cmu/07/07_01.bvh", "path/to/cmu/02/02_01.bvh"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(bvh, folder / name)
    assert main(["data", "poses", "--folders", str(folder / "path/to/cmu"), "--out",
                 str(folder / "poses.safetensors")]) == 0  # fmt: skip
    assert main(["motion", "clean", str(bvh), "--out", str(folder / "walk_poses.npz")]) == 0


def names_for(page, folder):
    """What the programs of a page take for granted."""
    if page == "docs/conventions.md":
        return {"np": np}
    if page == "docs/dynamics.md":
        prior = kinflow.priors.load()
        R_free = prior.sample(4, torch.Generator().manual_seed(0))
        return {
            "prior": prior,
            "R_free": R_free,
            "R_root": torch.eye(3).expand(4, 3, 3),
            "root_m": torch.zeros(4, 3),
            "goal": _goal(prior, R_free),
            "generator": torch.Generator().manual_seed(0),
        }
    if page == "docs/export.md":
        result = kinflow.load(folder / "walk")
        rgb = np.zeros((*result.camera.image_size[::-1], 3), np.uint8)
        width, height = result.camera.image_size
        return {
            "reconstruction": result, "work": folder, "folder": folder / "written",
            "width": width, "height": height, "rate_hz": 18.0, "frame_rgb": rgb,
            "results": [(frame, result.people_of(frame.index)) for frame in result.frames[:3]],
        }  # fmt: skip
    return {}


def _goal(prior, R_free):
    return LatentMotion(prior.encode(R_free[:1]), torch.eye(3)[None], torch.ones(1, 3))


@pytest.mark.parametrize("page", [page for page in TYPED if any(runnable(page))])
def test_a_page_works_as_it_is_written(page, shelf, tmp_path):
    folder = tmp_path / "user"
    shutil.copytree(shelf, folder)
    session, names = Session(folder), names_for(page, folder)
    try:
        for kind, text in runnable(page):
            if kind == "shell":
                session.shell(text, SMALLER.get(text, ""))
            else:
                session.python(text, names)
    finally:
        session.end()


def everything_on(page):
    for block in blocks_of(page):
        if block.language == "shell":
            yield from block.commands
        elif block.language == "python":
            yield key_of(block)


def test_what_is_left_out_is_on_its_page_and_has_a_reason():
    assert set(NOT_RUN) <= set(PAGES)
    for page, entries in NOT_RUN.items():
        on_page = set(everything_on(page))
        assert set(entries) <= on_page, set(entries) - on_page
        assert set(entries.values()) <= set(REASONS)


def test_reasons_are_counted():
    counted = Counter(reason for entries in NOT_RUN.values() for reason in entries.values())
    assert {reason: n for reason, n in counted.items() if n > AT_MOST[reason]} == {}
    typed = sum(len(list(runnable(page))) for page in PAGES)
    assert typed > counted.total() - counted["elsewhere"]


@pytest.mark.parametrize("page", sorted(NOT_RUN))
def test_commands_that_are_left_out_are_understood(page):
    for line, reason in NOT_RUN[page].items():
        words = [word for word in shlex.split(line) if not word.startswith("RAY_ADDRESS=")]
        if words[0] == "kinflow" and reason != "template" and "[" not in line:
            assert callable(parse(words[1:])), line


def test_blocks_are_found():
    text = (
        "Say\n\n    kinflow version\n    # no more\n\n    kinflow demo \\\n        --out x\n\nand\n"
    )
    text += "```python\na = 1\n```\n\n    a = b ½ c\n\nand\n\n    from os import path\n\n    path\n"
    found = blocks_in(text)
    assert [block.language for block in found] == ["shell", "python", "text", "python"]
    assert found[0].commands == ["kinflow version", "kinflow demo --out x"]
    assert found[3].text == "from os import path\n\npath"


def test_a_command_that_fails_fails_the_page(tmp_path):
    with pytest.raises(AssertionError, match="check the path"):
        Session(tmp_path).shell("kinflow reconstruct nowhere.jpg --out results")
