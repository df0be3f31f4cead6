"""Samples into shards and back, shared by readers who come, go and are stopped."""

import io
import random
import tarfile
import zlib
from collections import Counter
from dataclasses import fields, is_dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from clips import counting, write_clip
from PIL import Image

from kinflow.datasets.readers.check import Report, check_unit
from kinflow.datasets.readers.registry import reader_of
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import (
    BodyLabel,
    CalibratedCamera,
    Joints3D,
    Keypoints2D,
    Mask,
    PartMapLabel,
    Picture,
)
from kinflow.datasets.shards import Loader, LoaderConfig, Position, ShardSet, Share, Stream
from kinflow.datasets.shards.codec import decoded, encoded
from kinflow.datasets.shards.commands import ShardCommand, shard
from kinflow.datasets.shards.order import Order
from kinflow.datasets.shards.writing import ShardConfig, write_shards
from kinflow.errors import InputError

COUNT = 23
SIZE = (40, 30)


def full_sample(number: int, picture: Path | None) -> Sample:
    """Somebody of whom everything is labelled."""
    rng = np.random.default_rng(number)
    names = ("nose", "left_hip")
    camera = CalibratedCamera(
        (500.0, 510.0),
        (20.0, 15.0),
        SIZE,
        (0.1, 0.0, 0.0, 0.0, 0.0),
        np.eye(3, dtype=np.float32),
        np.zeros(3, np.float32),
    )
    return Sample(
        "made",
        f"walk/{number}",
        split="train",
        licence="none",
        picture=None if picture is None else Picture(picture, SIZE),
        box_px=(1.0, 2.0, 30.5, 20.25),
        keypoints=Keypoints2D(
            names, rng.random((2, 2), np.float32), np.ones(2, np.float32), np.array([True, False])
        ),
        parts=PartMapLabel("densepose", rng.integers(0, 9, (4, 5), np.uint8), (1.0, 2.0, 3.0, 4.0)),
        mask=Mask(SIZE, runs=(100, 200, 900)),
        joints=Joints3D(names, rng.random((2, 3), np.float32), np.ones(2, bool), "world", "smpl"),
        body=BodyLabel(
            "smpl", ("root",), np.eye(3, dtype=np.float32)[None], np.ones(3, np.float32), "world",
            rng.random(10, np.float32), "female",
        ),
        camera=camera,
        up=np.array([0, 1, 0], np.float32),
        identity="S1",
        sequence="walk",
        action="walking",
        time_s=number / 25,
        fps=25.0,
    )  # fmt: skip


def same(a: object, b: object) -> bool:
    """Whether two values hold the same, whoever holds the bytes of the picture."""
    if is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and a == b


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    found = []
    for number in range(COUNT):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)).save(path)
        found.append(full_sample(number, path))
    return found


@pytest.fixture(scope="module")
def folder(samples, tmp_path_factory) -> Path:
    """Seven shards of up to four samples."""
    folder = tmp_path_factory.mktemp("shards") / "out"
    write_shards(samples[:-1], folder, "made", ShardConfig(max_samples=4))
    return folder


def keys(samples) -> list[str]:
    return [sample.key for sample in samples]


def test_every_label_comes_back(samples, folder):
    stored = list(Stream(ShardSet(folder), seed=None, epochs=1))
    assert len(stored) == COUNT - 1
    for before, after in zip(samples, stored, strict=False):
        assert same(before, after)
        assert np.array_equal(before.picture.read(), after.picture.read())
        assert after.picture.data == before.picture.path.read_bytes(), "as it is"
    bare = Sample("made", "0")
    assert same(bare, decoded(encoded(bare), "it"))


def test_masks_travel_in_the_shard_whatever_they_were(tmp_path):
    """Outlines and files too; a shard names no file of whoever reads it."""
    shown = np.zeros((SIZE[1], SIZE[0]), bool)
    shown[5:20, 10:30] = True
    Image.fromarray(shown).save(tmp_path / "mask.png")
    corners = np.array([[10, 5], [30, 5], [30, 20], [10, 20]], np.float32)
    for mask in (Mask(SIZE, path=tmp_path / "mask.png"), Mask.of_outlines(SIZE, [corners])):
        files = encoded(replace(full_sample(0, None), mask=mask))
        assert np.array_equal(decoded(files, "it").mask.array(), shown)
        assert b"mask.png" not in files["json"]
    foreign = b'{"dataset":"made","key":"0","mask":{"size":[4,4],"path":"/etc/hostname"}}'
    with pytest.raises(InputError, match="has to be in it"):
        decoded({"json": foreign}, "it")


def test_other_programs_read_them_and_the_bytes_are_always_the_same(samples, folder, tmp_path):
    write_shards(samples[:-1], tmp_path / "again", "made", ShardConfig(max_samples=4))
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    groups: dict[str, set[str]] = {}
    with tarfile.open(folder / "made-000001.tar") as archive:
        for member in archive:
            stem, _, kind = member.name.partition(".")  # which is how WebDataset groups them
            groups.setdefault(stem, set()).add(kind)
    assert groups == {f"{number:09d}": {"json", "npz", "png"} for number in range(4, 8)}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_readers_share_epochs_without_losing_or_repeating_anything(folder, count):
    shards = ShardSet(folder)
    whole = keys(Stream(shards, seed=3, epochs=2, together=2))
    assert Counter(whole[: COUNT - 1]) == Counter(whole[COUNT - 1 :]) == Counter(set(whole))
    assert whole[: COUNT - 1] != whole[COUNT - 1 :]
    shares = [
        keys(Stream(shards, 3, Share(index, count), epochs=2, together=2)) for index in range(count)
    ]
    for index, share in enumerate(shares):
        assert share == whole[index::count]


@pytest.mark.parametrize("counts", [(1, 1), (2, 2), (4, 4), (1, 4), (4, 1), (2, 4), (3, 2)])
def test_a_stop_in_the_middle_of_an_epoch_loses_and_repeats_nothing(folder, counts):
    """Readers are not equally far, and there are others afterwards."""
    shards, position, done = ShardSet(folder), Position(), []
    drawn = random.Random(str(counts))
    for count in (*counts, 1):
        streams = [Stream(shards, 5, Share(i, count), position, 2, 3) for i in range(count)]
        for stream in streams:
            limit = None if count == 1 and len(done) > 20 else drawn.randint(0, 9)
            done += keys(islice(stream, limit))
        position = position.after([stream.taken for stream in streams])
    done += keys(Stream(shards, 5, position=position, together=2, epochs=3))
    assert Counter(done) == Counter(3 * keys(Stream(shards, seed=None, epochs=1)))


def test_a_position_is_a_few_numbers():
    position = Position()
    for _ in range(50):
        position = position.after([7, 9, 8])
    assert len(position.pending) <= 3
    assert position.start == 50 * 24 + len(position.pending)


def test_an_order_mixes_and_is_that_of_every_machine():
    order = Order((100,) * 20, 1, 4)
    places = [order.locate(entry) for entry in range(order.total)]
    assert sorted(places) == [(shard, row) for shard in range(20) for row in range(100)]
    assert {shard for shard, _ in places[:400]} == {shard for shard, _ in places[:20]}
    assert len({shard for shard, _ in places[:400]}) == 4
    assert places[:3] == [(10, 4), (10, 5), (6, 34)]
    rows = np.array([row for _, row in places])
    assert abs(np.corrcoef(rows[1:], rows[:-1])[0, 1]) < 0.1


def test_damaged_samples_are_counted_and_passed_over(samples, folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tar = tmp_path / "made-000002.tar"
    data = bytearray(tar.read_bytes())
    data[len(data) // 2] ^= 1
    tar.write_bytes(data)
    stream = Stream(ShardSet(tmp_path), epochs=1)
    assert len(keys(stream)) == COUNT - 2
    assert stream.skipped == {"is damaged (checksum).": 1}
    assert stream.taken == COUNT - 1
    with pytest.raises(InputError, match="made-000002.tar, sample .* is damaged"):
        list(Stream(ShardSet(tmp_path), epochs=1, is_strict=True))
    assert [tar.name in sentence for sentence in ShardSet(tmp_path).damaged()] == [True]
    assert ShardSet(folder).damaged() == []
    tar.write_bytes(data[:-512])
    with pytest.raises(InputError, match="made-000002.tar' has not the"):
        ShardSet(tmp_path)
    (tmp_path / "index.json").unlink()
    with pytest.raises(InputError, match="has not finished it"):
        ShardSet(tmp_path)


def test_what_is_no_sample_is_refused_and_runs_nothing():
    files = encoded(full_sample(0, None))
    objects = io.BytesIO()
    np.savez(objects, up=np.array([object()]))
    for changed, message in (
        ({"npz": objects.getvalue()}, "holds Python objects"),
        ({"npz": files["npz"][:100]}, "is not a numpy archive"),
        ({"json": b"[]"}, "object of JSON"),
        ({"json": b'{"dataset":"made","key":"0","colour":1}'}, "colour"),
        ({"json": b'{"dataset":"made","key":"0","mask":{"size":[4,4],"runs":[9]}}'}, "Run lengths"),
        ({"json": b'{"dataset":"made","key":"0","keypoints":{"px":{}}}'}, "'px'|'names'"),
    ):
        with pytest.raises(InputError, match=message):
            decoded(files | changed, "it")
    with pytest.raises(InputError, match="no .json"):
        decoded({"jpg": b""}, "it")


@pytest.mark.parametrize("at", [124, 156, "key"])
def test_a_sample_that_is_no_tar_file_is_refused(samples, folder, tmp_path, at):
    """With a checksum that agrees, as whoever made it on purpose would take care of."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tar, table = tmp_path / "made-000000.tar", tmp_path / "made-000000.npy"
    data, places = bytearray(tar.read_bytes()), np.load(table)
    first, length, _ = places[1]
    if at == "key":  # its quotes in the JSON
        at = data.index(b'"key":', first) - first
    data[first + at : first + at + 3] = b"7" * 3
    places[1, 2] = zlib.crc32(data[first : first + length])
    tar.write_bytes(data)
    np.save(table, places)
    with pytest.raises(InputError, match="made-000000.tar, sample 1' is not"):
        ShardSet(tmp_path).read(0, 1)


def test_samples_without_their_picture_are_counted(samples, tmp_path):
    lost = replace(samples[0], picture=Picture(tmp_path / "nowhere.png", SIZE))
    index = write_shards([samples[1], lost], tmp_path / "out", "made")
    assert index.samples == 1
    assert index.skipped == {"samples without their picture": 1}
    assert index.labels["picture"] == 1 and index.licences == ("none",)
    with pytest.raises(InputError, match="holds shards already"):
        write_shards(samples, tmp_path / "out", "made")
    with pytest.raises(InputError, match="no samples"):
        write_shards([], tmp_path / "empty", "made")


def key_of(sample: Sample) -> str:
    if sample.key == "walk/3":
        raise InputError("nobody is in it")
    assert sample.picture is not None
    assert sample.picture.read().shape == (SIZE[1], SIZE[0], 3)
    return sample.key


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_where_it_was_stopped(folder, workers):
    shards = ShardSet(folder)
    config = LoaderConfig(batch_size=3, workers=workers, seed=2)
    first = Loader(shards, config, key_of)
    done = [key for batch in islice(first, 3) for key in batch]
    assert first.waited_s > 0
    again = Loader(shards, LoaderConfig(batch_size=1, workers=0, seed=2), key_of, first.position)
    # without the one that cannot be used
    done += [batch[0] for batch in islice(again, COUNT - 2 - len(done))]
    assert sorted(done) == sorted(f"walk/{n}" for n in range(COUNT - 1) if n != 3)
    assert sum((first.skipped + again.skipped).values()) == 1


def test_the_command_writes_a_folder_with_a_clip(samples, tmp_path, capsys):
    pictures = tmp_path / "in"
    pictures.mkdir()
    (pictures / "a.png").write_bytes(samples[0].picture.path.read_bytes())
    write_clip(pictures / "b.avi", counting(5), 24, "MJPG")
    assert shard(ShardCommand("folder", pictures, tmp_path / "out")) == 0
    assert "6 samples in 1 shards" in capsys.readouterr().out
    stored = list(Stream(ShardSet(tmp_path / "out"), seed=None, epochs=1))
    assert keys(stored)[-1] == "b.avi/000004"
    frames = [sample.picture.read().astype(int) for sample in stored[1:]]
    assert not np.array_equal(frames[0], frames[4])
    # shards are a dataset like others
    report, reader = Report(), reader_of("shards")
    for unit in reader.units(tmp_path / "out")[0]:
        check_unit(reader, tmp_path / "out", unit, report)
    assert report.good and report.labels["picture"] == 6
