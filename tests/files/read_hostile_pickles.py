"""Reads all hostile pickles, without torch unless asked to, and reports what became of each.

`python read_hostile_pickles.py FOLDER plain|smpl`. Whatever one of them manages to call leaves a
file called `called` in the folder.
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from hostile_pickles import hostile_pickles

from kinflow.errors import InputError
from kinflow.files.pickled_arrays import PickledType
from kinflow.files.pickled_names import Name
from kinflow.files.plain_pickle import ForeignObject, as_array, load_plain

SLOW = ("many_", "keys_collide", "deep_marks")
"""Those that use up a budget of the reader of pickles, whoever calls it."""


def is_plain(value: object) -> bool:
    """Whether a value, however it may refer to itself, is data and nothing else."""

    leaves = {str, bytes, bytearray, int, float, bool, type(None), Name, PickledType}
    seen: set[int] = set()
    todo = [value]
    while todo:
        item = todo.pop()
        if id(item) in seen or type(item) in leaves:
            continue
        seen.add(id(item))
        if type(item) in (list, tuple, set, frozenset):
            todo += item
        elif type(item) is dict:
            todo += [*item.keys(), *item.values()]
        elif type(item) is ForeignObject:
            todo.append(item.state)
        elif not (isinstance(item, np.ndarray | np.generic) and item.dtype.kind in "biufcSU"):
            return False
    return True


def read_plain(path: Path) -> str:
    """Read one, and every array in it as its user would."""
    value = load_plain(path)
    for item in [value, *(value.values() if isinstance(value, dict) else ())]:
        with suppress(InputError):
            if as_array(item).dtype.kind not in "biuf":
                return "no array of numbers"
    return "plain" if is_plain(value) else "not plain"


def read_smpl(path: Path) -> str:
    """Read one as a body."""
    from kinflow.body.smpl import load_smpl  # not above: it needs torch

    load_smpl(path)
    return "a body"


def outcome(read: Callable[[Path], str], path: Path) -> str:
    """What `read` says, "refused: ..." for an error that names the file, or what else happened."""
    try:
        return read(path)
    except InputError as error:
        return f"{'refused' if str(path) in str(error) else 'names no file'}: {error}"
    except BaseException as error:  # what must not happen is an outcome, not the end
        return f"{type(error).__name__}: {error}"[:200]


def peak_mb() -> float:
    """The most memory that this program has taken.

    Not `ru_maxrss`, which begins with that of the program that started this one.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main(folder: Path, reader: Callable[[Path], str]) -> None:
    """Read all of them and print what became of each as JSON."""
    outcomes, slowest_s, start_mb = {}, 0.0, peak_mb()
    for label, content in hostile_pickles(folder / "called").items():
        if reader is read_smpl and label.startswith(SLOW):
            continue
        path = folder / "hostile.pkl"
        path.unlink(missing_ok=True)  # to write over a file waits for the disk
        path.write_bytes(content)
        print(label, file=sys.stderr, flush=True)  # the last one printed is the one that crashed
        start_s = time.process_time()
        outcomes[label] = outcome(reader, path)
        slowest_s = max(slowest_s, time.process_time() - start_s)
    memory = {"start_mb": start_mb, "peak_mb": peak_mb()}
    print(json.dumps({"outcomes": outcomes, "slowest_s": slowest_s} | memory))


if __name__ == "__main__":
    main(Path(sys.argv[1]), {"plain": read_plain, "smpl": read_smpl}[sys.argv[2]])
