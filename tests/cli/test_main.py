"""The command line as a shell sees it, without the heavy work."""

import inspect
import re
import subprocess
import sys
from typing import get_args, get_type_hints

import pytest

import kinflow
from kinflow.body.part_maps import PART_MAPS
from kinflow.cli import options
from kinflow.cli.main import main
from kinflow.export.clip_writer import CLIP_FORMATS
from kinflow.export.joint_names import JointNaming
from kinflow.export.writer import FORMATS

HEAVY = {"torch", "numpy", "cv2", "onnxruntime", "PIL", "zuko", "roma"}


@pytest.mark.parametrize("word", ["version", "--version"])
def test_version(word, capsys):
    assert main([word]) == 0
    assert capsys.readouterr().out == f"kinflow {kinflow.__version__}\n"


def test_help_imports_nothing_heavy():
    """Help has to be instant: importing torch alone takes longer than it may."""
    script = (
        "import sys\n"
        "from kinflow.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    for arguments in (["--help"], ["reconstruct", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
        )
        assert "HEAVY []" in done.stdout
        assert "usage: kinflow" in done.stdout


def test_options_spell_what_the_heavy_code_knows():
    """They cannot import it; what they repeat has to be the same."""
    assert options.ALL_FORMATS == get_args(options.OutputFormat) == CLIP_FORMATS
    assert tuple(kind for kind in CLIP_FORMATS if kind != "bvh") == FORMATS
    names = get_type_hints(options.Output)["joint_names"]
    assert get_args(names) == get_args(JointNaming)
    source = inspect.getsource(options.Reconstruct)
    assert all(re.search(rf"(?<![\w-]){name}(?![\w-])", source) for name in PART_MAPS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("reconstruct", "demo", "version", "train", "data", "evaluate")),
        (("reconstruct",), ("--out", "--max-people", "--overwrite", "--keypoints", "Exit code")),
        (("demo",), ("--out", "kinflow-demo")),
        (("train",), ("prior",)),
        (("train", "prior"), ("--data", "--family", "--flow.dropout")),
        (("data", "poses"), ("--folders", "--out")),
        (("evaluate", "prior"), ("--data", "--weights")),
    ],
)
def test_help(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    for word in words:
        assert word in out


def test_help_says_what_commands_do_and_what_happens_without_a_flag(capsys):
    texts = []
    for arguments in (["reconstruct"], ["data"], ["train"], ["evaluate"], ["synth"]):
        with pytest.raises(SystemExit):
            main([*arguments, "--help"])
        texts.append(capsys.readouterr().out)
    assert not any("Settings of" in text for text in texts)
    # a flag that turns something off is not "True" by default
    assert "(default: True)" not in texts[0]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["reconstrukt", "a.jpg"],
        ["reconstruct", "a.jpg"],
        ["reconstruct", "a.jpg", "--out", "out", "--max-people", "many"],
        ["reconstruct", "a.jpg", "--out", "out", "--format", "jpeg"],
        ["train"],
        ["train", "postr"],
    ],
)
def test_wrong_usage_ends_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert "kinflow" in captured.out + captured.err
