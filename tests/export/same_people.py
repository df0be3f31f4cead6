"""Whether two reconstructions are the same, to the bit."""

from dataclasses import fields

import torch

from kinflow.results import Reconstruction


def assert_same(a: Reconstruction, b: Reconstruction) -> None:
    assert (a.frames, a.source, len(a.people)) == (b.frames, b.source, len(b.people))
    assert a.camera_motion == b.camera_motion
    assert [t.identity for t in a.tracks] == [t.identity for t in b.tracks]
    for p, q in zip(a.people, b.people, strict=True):
        assert_same_values(p, q)
        assert len(p.hypotheses) == len(q.hypotheses)
        for h, k in zip(p.hypotheses, q.hypotheses, strict=True):
            assert_same_values(h, k)


def assert_same_values(a, b) -> None:
    for field in fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, torch.Tensor):
            assert torch.equal(x.nan_to_num(-1), y.nan_to_num(-1)), field.name
        elif field.name != "hypotheses":
            assert x == y or (x != x and y != y), field.name
