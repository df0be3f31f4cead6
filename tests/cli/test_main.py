"""The command line as a shell sees it, without the heavy work."""

import subprocess
import sys

import pytest

import kinflow
from kinflow.cli.main import main

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
