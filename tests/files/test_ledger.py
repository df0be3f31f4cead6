"""Work that is kept: what comes back is what went in; no kill and no damage breaks it."""

import json
import math
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kinflow.errors import InputError
from kinflow.files import ledger as ledger_module
from kinflow.files.ledger import Ledger
from kinflow.files.snapshots import Resumable, Snapshot, restored, taken

KEY = {"clip": "abc", "range": (0.0, None)}


@dataclass(frozen=True)
class Seen:
    points: torch.Tensor
    name: str
    other: "Seen | None" = None

    def __post_init__(self) -> None:
        if self.name == "refused":
            raise InputError("a name that is refused")


def values() -> dict:
    rng = np.random.default_rng(0)
    return {
        "numbers": [0.1 + 0.2, math.inf, math.nan, -0.0, 7, True, None, "text"],
        "float": np.float32(0.1),
        "arrays": (rng.normal(size=(3, 2)), np.arange(3, dtype=np.uint8), np.zeros(2, bool)),
        "empty": np.zeros((0, 2), np.float32),
        "tensors": [torch.randn(4, 3), torch.tensor([math.nan, 1.0]), torch.ones(4, 3).half()],
        "recent": deque([np.ones(2)], maxlen=8),
        "known": {3, 1},
        "by time": {0: {1 / 29.97: Seen(torch.ones(2), "a", Seen(torch.zeros(2), "b"))}},
    }


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.equal(other) or bool(one.isnan().any())
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, list | tuple | deque):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, Seen):
        return all(same(v, getattr(other, k)) for k, v in vars(one).items())
    return one == other or (one != one and other != other)


def test_a_value_comes_back_as_it_was():
    before = values()
    snapshot = taken(before, (Seen,))
    # through JSON, as on disk
    read = Snapshot(json.loads(json.dumps(snapshot.tree)), snapshot.tensors)
    after = restored(read, (Seen,))
    assert same(before, after)
    assert after["recent"].maxlen == 8
    after["tensors"][0].zero_()
    assert same(before, restored(read, (Seen,)))


def test_only_known_classes_are_made_and_check_themselves():
    snapshot = taken(Seen(torch.ones(2), "a"), (Seen,))
    with pytest.raises(InputError):
        restored(snapshot, ())
    with pytest.raises(InputError, match="refused"):
        tree = json.loads(json.dumps(snapshot.tree).replace('"a"', '"refused"'))
        restored(Snapshot(tree, snapshot.tensors), (Seen,))
    for tree in ({"tensor": [9, 0]}, {"list": 3}, {"eval": ["1"]}, [1], {"class": "Seen"}, {}):
        with pytest.raises(InputError):
            restored(Snapshot(tree, {}), (Seen,))
    for stranger in (object(), Seen(torch.ones(2), "a")):
        with pytest.raises(InputError, match="cannot be stored"):
            taken(stranger, ())


class Inner(Resumable):
    changing = ("count",)

    def __init__(self, count: int = 0) -> None:
        self.count = count


class Outer(Resumable):
    changing = ("inner", "names")

    def __init__(self) -> None:
        self.inner, self.names = Inner(), ["a"]


def test_what_is_resumable_holds_others_that_are():
    one, other = Outer(), Outer()
    one.inner.count, one.names = 5, ["b"]
    inner = other.inner
    other.resume(one.state())
    assert (other.inner, other.inner.count, other.names) == (inner, 5, ["b"])
    with pytest.raises(InputError):
        other.resume({"names": []})


def kept(folder: Path, key: dict = KEY) -> tuple[list, Any]:
    ledger = Ledger.open(folder, key)
    state = None if ledger.state is None else restored(ledger.state, (Seen,))
    return [restored(entry, (Seen,)) for entry in ledger.entries], state


def test_a_kill_leaves_the_work_as_it_was_after_some_step(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    write_bytes = ledger_module.write_bytes
    write_tensors = ledger_module.write_tensors
    for kill in range(9):
        folder, writes = tmp_path / str(kill), []

        def counted(write, *args, kill=kill, writes=writes):
            writes.append(args)
            if len(writes) > kill:
                # half of the file under a name of its own, as of somebody who is killed
                (args[0].parent / ".kinflow-0123456789abcdef.tmp").write_bytes(b"half")
                raise Killed
            write(*args)

        for write in (write_bytes, write_tensors):
            monkeypatch.setattr(ledger_module, write.__name__, partial(counted, write))
        ledger = Ledger.open(folder, KEY)
        with pytest.raises(Killed):
            for step in range(4):
                ledger.add(taken([step, torch.ones(step)], ()), taken(step, ()))
        monkeypatch.undo()
        entries, state = kept(folder)
        assert [entry[0] for entry in entries] == list(range(kill // 3))
        assert state == (kill // 3 - 1 if kill >= 3 else None)
        # and it goes on
        ledger = Ledger.open(folder, KEY)
        ledger.add(taken(["next"], ()), taken("after", ()))
        entries, state = kept(folder)
        assert (len(entries), entries[-1], state) == (kill // 3 + 1, ["next"], "after")
        assert len(list(folder.glob("state-*"))) <= 2
        ledger.forget()
        assert kept(folder) == ([], None)


def test_what_is_damaged_or_of_something_else_counts_as_nothing(tmp_path):
    folder = tmp_path / "kept"

    def fill() -> None:
        ledger = Ledger.open(folder, KEY)
        ledger.forget()
        ledger.add(taken([torch.zeros(4)], ()), taken("state", ()))
        ledger.add(None, taken("state after nothing new", ()))

    fill()
    assert [len(part) for part in kept(folder)] == [1, len("state after nothing new")]
    assert len(list(folder.iterdir())) == 3
    assert kept(folder, {"clip": "another"}) == ([], None)
    assert not folder.exists()
    for name in ("kept.json", "entry-000000.safetensors", "state-000002.safetensors"):
        for place in (-3, 20, len(b"half")):
            fill()
            data = bytearray((folder / name).read_bytes())
            data[place] ^= 4
            (folder / name).write_bytes(data)
            entries, state = kept(folder)
            assert (entries, state) == ([], None) or name == "kept.json"
        fill()
        (folder / name).unlink()
        assert kept(folder) == ([], None)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="in the way"):
        Ledger.open(tmp_path / "file", KEY)
