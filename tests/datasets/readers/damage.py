"""Files that are damaged, wrong or hostile, and what has to come of them: one sentence."""

import os
import pickle
from pathlib import Path

import pytest

from kinflow.cli.main import main
from kinflow.datasets.readers.reader import samples
from kinflow.datasets.readers.registry import reader_of
from kinflow.errors import InputError


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def hostile_pickle(marker: Path, protocol: int = 2) -> bytes:
    """A pickle that would leave a file behind if it ran."""
    return pickle.dumps({"poses": Hostile(marker)}, protocol)


def cut_off(path: Path, share: float = 0.6) -> None:
    """Leave away the end of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def assert_refused(name: str, root: Path, says: str = "") -> None:
    """Reading raises one sentence that names the file or the folder."""
    with pytest.raises(InputError) as caught:
        list(samples(reader_of(name), root))
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 600 and sentence.rstrip().endswith(".")
    assert root.name in sentence or str(root) in sentence, sentence
    assert says in sentence, sentence


def assert_check_fails(name: str, root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """`kinflow data check` goes on to the end, says what is wrong and ends with 2."""
    assert main(["data", "check", name, str(root)]) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return out + err
