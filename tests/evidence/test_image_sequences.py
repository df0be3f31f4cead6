"""Numbered images as clips: order, times, gaps, sizes, damaged ones, and frames like a clip's."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from clips import counting, number_of, write_clip
from PIL import Image

from kinflow.errors import InputError
from kinflow.evidence.clip_range import ClipRange
from kinflow.evidence.image_sequences import ImageSequence, open_frames, pictures_of
from kinflow.evidence.video_files import Clip


def write(folder: Path, names: Iterable[str], size: tuple[int, int] = (96, 64)) -> Path:
    """Images that show their place in the list."""
    names = list(names)
    for name, frame in zip(names, counting(len(names), size), strict=True):
        Image.fromarray(frame).save(folder / name)
    return folder


def shown(sequence: ImageSequence) -> list[int]:
    return [number_of(frame.rgb) for frame in sequence.frames()]


def test_numbers_are_counted_and_not_spelt(tmp_path):
    write(tmp_path, (f"f{i}.png" for i in range(8, 13)))
    (tmp_path / "f9.txt").write_text("no picture")
    (tmp_path / ".f10.png").write_text("hidden")
    sequence = ImageSequence.open(tmp_path, 10.0)
    assert [path.name for _, path in sequence.pictures] == [f"f{i}.png" for i in range(8, 13)]
    frames = list(sequence.frames())
    assert [number_of(frame.rgb) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert sequence.info.size == (96, 64)
    assert sequence.info.duration_s == pytest.approx(0.5)
    assert sequence.notes == []


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a_%03d.png", ["a_001.png", "a_1000.png"]),
        ("a_%d.png", ["a_1.png", "a_001.png", "a_1000.png"]),
        ("%03d.png", ["007.png"]),
    ],
)
def test_patterns_take_what_has_their_number(tmp_path, pattern, found):
    for name in (
        "a_1.png",
        "a_001.png",
        "a_1000.png",
        "b_001.png",
        "a_001.jpg",
        "007.png",
        "x.png",
    ):
        (tmp_path / name).write_bytes(b"x")
    assert {p.name for p in pictures_of(tmp_path / pattern)} == set(found)


def test_missing_numbers_leave_gaps_and_are_told(tmp_path):
    write(tmp_path, (f"{i:05d}.jpg" for i in (10, 11, 14, 15, 16, 18)))
    sequence = ImageSequence.open(tmp_path / "%05d.jpg", 30.0)
    assert [frame.index for frame in sequence.frames()] == [0, 1, 4, 5, 6, 8]
    assert sequence.notes == ["lacks 3 of 9 numbers (12, 13, 17); time goes on over them."]


def test_steps_are_frames_and_times_are_no_numbers_of_frames(tmp_path):
    (tmp_path / "steps").mkdir()
    steps = ImageSequence.open(write(tmp_path / "steps", (f"r{i}.png" for i in (0, 5, 10, 20))))
    assert [index for index, _ in steps.pictures] == [0, 1, 2, 4]
    assert any("steps of 5" in note for note in steps.notes)
    (tmp_path / "times").mkdir()
    names = (f"{t}.png" for t in (1694520000133, 1694520000167, 1694520000200, 1694520000234))
    times = ImageSequence.open(write(tmp_path / "times", names))
    assert [index for index, _ in times.pictures] == [0, 1, 2, 3]
    assert times.notes == ["numbers its pictures with jumps; they are taken one after the other."]
    (tmp_path / "names").mkdir()
    named = ImageSequence.open(write(tmp_path / "names", ("a.png", "b2.png", "b10.png")))
    assert shown(named) == [0, 1, 2]
    assert named.notes == []


def test_ranges_choose_the_same_frames_as_of_a_clip(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    write(images, (f"{i:03d}.png" for i in range(40)))
    clip = write_clip(tmp_path / "a.avi", counting(40), 25, "MJPG")
    for wanted in (ClipRange(), ClipRange(0.3, 1.1), ClipRange(0.2, fps=10.0), ClipRange(fps=60.0)):
        sources = (open_frames(images, 25.0), open_frames(clip))
        assert isinstance(sources[0], ImageSequence) and isinstance(sources[1], Clip)
        of_images, of_clip = (list(source.frames(wanted)) for source in sources)
        assert [f.index for f in of_images] == [f.index for f in of_clip]
        assert np.allclose([f.time_s for f in of_images], [f.time_s for f in of_clip], atol=1e-3)
        assert [number_of(f.rgb) for f in of_images] == [number_of(f.rgb) for f in of_clip]
    with pytest.raises(InputError, match=r"no frame from 9 s on; its last one is at 1\.56 s"):
        list(open_frames(images, 25.0).frames(ClipRange(9.0)))


def test_an_image_of_another_size_is_refused_by_name_at_once(tmp_path):
    write(tmp_path, ("1.png", "2.png"))
    Image.fromarray(counting(1, (120, 64))[0]).save(tmp_path / "3.png")
    with pytest.raises(InputError, match=r"3\.png' is 120 x 64 pixels, but '1\.png' 96 x 64"):
        ImageSequence.open(tmp_path)


def test_images_are_upright_before_sizes_are_compared(tmp_path):
    write(tmp_path, ("1.jpg", "2.jpg"))
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(counting(3)[2])))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by a quarter with the clock
    turned.save(tmp_path / "3.jpg", exif=exif)
    sequence = ImageSequence.open(tmp_path)
    assert shown(sequence) == [0, 1, 2]


def test_what_cannot_be_read_is_left_out_and_told(tmp_path):
    write(tmp_path, (f"{i}.png" for i in range(6)))
    (tmp_path / "2.png").write_bytes(b"")
    whole = (tmp_path / "4.png").read_bytes()
    (tmp_path / "4.png").write_bytes(whole[: len(whole) // 2])
    sequence = ImageSequence.open(tmp_path)
    assert shown(sequence) == [0, 1, 3, 5]
    said = " ".join(sequence.notes)
    assert "2.png' is empty" in said
    assert "4.png is damaged" in said


def test_one_image_is_no_sequence(tmp_path):
    write(tmp_path, ("1.png",))
    with pytest.raises(InputError, match="fewer than two images"):
        ImageSequence.open(tmp_path)
    with pytest.raises(InputError, match="rate of images"):
        ImageSequence.open(tmp_path, 0.0)
    with pytest.raises(InputError, match="holds no images"):
        ImageSequence.open(tmp_path.parent / tmp_path.name / "..", 30.0)
