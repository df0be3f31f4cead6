"""What README, NOTICE and the examples promise holds."""

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest
from PIL import Image

from kinflow.assets import MANIFEST
from kinflow.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def command_lines(program: str) -> list[list[str]]:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words and words[0] == program]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code, tmp_path, monkeypatch, astronaut_rgb):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(astronaut_rgb).save("photo.jpg")
    names: dict = {}
    exec(code, names)
    assert len(names["result"].people) == 1


def test_no_two_commands_share_an_output_folder():
    """Typed one after another they all work: a folder is not filled twice with other options."""
    lines = [words for words in command_lines("kinflow") if "photo.jpg" in words]
    folders = [words[words.index("--out") + 1] for words in lines]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("arguments", command_lines("kinflow"), ids=" ".join)
def test_command_lines_are_understood(arguments):
    assert callable(main.parse(arguments))


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    targets = [words[0] for words in command_lines("make")]
    assert targets == ["demo", "test"]
    for target in targets:
        assert f"\n{target}:" in makefile


PAGES = ["README.md", "benchmarks/README.md"]
PAGES += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))


def anchors(page: Path) -> set[str]:
    """What headings can be linked to as, by GitHub's rules."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf8"), flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf8")
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text):
        if not target.startswith("http"):
            path = (ROOT / page).parent / target if target else ROOT / page
            assert path.exists(), target
            assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_every_page_and_benchmark_is_listed():
    assert all(f"]({page})" in README for page in PAGES if page.count("/") == 1)
    listed = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf8")
    for script in (ROOT / "benchmarks").glob("*.py"):
        assert f"`{script.name}`" in listed


def test_notice_lists_every_asset_with_its_checksum():
    notice = (ROOT / "NOTICE").read_text(encoding="utf8")
    listed = set(re.findall(r"^ +([0-9a-f]{64})  (\S+)$", notice, flags=re.MULTILINE))
    assert listed == {(digest, name) for name, digest in json.loads(MANIFEST.read_text()).items()}


@pytest.mark.parametrize(
    ("script", "arguments", "output"),
    [
        ("01_photo.py", ["photo.png", "out"], "out/scene.glb"),
        ("02_own_keypoints.py", [], None),
        ("03_sample_poses.py", ["poses.glb", "2"], "poses.glb"),
        ("04_events.py", ["out", "photo.png", "none.png"], "out/photo/people.npz"),
    ],
)
def test_examples_run(script, arguments, output, tmp_path, monkeypatch, astronaut_rgb, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(astronaut_rgb).save("photo.png")
    monkeypatch.setattr("sys.argv", [script, *arguments])
    runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
    assert capsys.readouterr().out.strip()
    assert output is None or Path(output).stat().st_size > 1000
