"""People over time in people.npz and people.json, and what is made for one frame only."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import roma
import torch
from hand_made_people import SIZE, make_person
from same_people import assert_same

import kinflow
from kinflow.errors import InputError
from kinflow.export.overlay import draw_overlay
from kinflow.export.people_files import write_json, write_npz
from kinflow.export.viewer import viewer_html
from kinflow.export.writer import ExportOptions, write_all
from kinflow.geometry.pinhole import Camera
from kinflow.results import Frame, Gravity, Hypothesis, Person, Reconstruction

WRITERS = {"people.npz": write_npz, "people.json": write_json}
SEEDS = range(6)


def random_frames(rng: np.random.Generator, one_camera: bool) -> list[Frame]:
    """Frames with gaps, at times and by cameras that no short decimal describes."""
    index = np.sort(rng.choice(40, 7, replace=False))
    cameras = [
        Camera(rng.uniform(200, 900), (rng.uniform(100, 200), rng.uniform(80, 160)), SIZE)
        for _ in index
    ]
    return [
        Frame(int(i), float(i) / 29.97, cameras[0 if one_camera else row], random_gravity(rng))
        for row, i in enumerate(index)
    ]


def random_gravity(rng: np.random.Generator) -> Gravity | None:
    """What is up, of about every other frame."""
    x, y, z = rng.normal(size=3) * (0.2, 0.2, 0.4) - (0.0, 1.0, 0.0)
    long = math.sqrt(x * x + y * y + z * z)
    known = rng.uniform() < 0.5
    return Gravity((x / long, y / long, z / long), rng.uniform(1, 9)) if known else None


def random_body(person: Person, rng: np.random.Generator) -> Person:
    """The person in another pose, some with alternatives, parts and where they come from."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    pose = roma.rotvec_to_rotmat(torch.randn(22, 3, generator=generator))
    body = replace(
        person,
        pose=pose,
        R_cam_root=pose[0],
        z=torch.randn(8, generator=generator),
        joints_cam_m=torch.randn(22, 3, generator=generator),
        score=float(rng.uniform()),
        start_source=str(rng.choice(["", "gallery", "facing"])),
        silhouette_iou=float(rng.uniform()),
        part_iou=torch.rand(14, generator=generator) if rng.uniform() < 0.5 else None,
    )
    other = Hypothesis(pose[1], body.t_cam_root_m, pose, body.z, body.shape, float(rng.uniform()))
    return replace(body, hypotheses=(other,) * int(rng.integers(3)))


def random_sequence(seed: int, one_camera: bool = False) -> Reconstruction:
    """Three people who come and go, and frames in which nobody is."""
    rng = np.random.default_rng(seed)
    frames = random_frames(rng, one_camera)
    known = [make_person(number, [0.0, 0.1, 3.0]) for number in (0, 3, 11)]
    seen = [
        [random_body(replace(p, camera=frame.camera), rng) for p in known if rng.uniform() < 0.5]
        for frame in frames
    ]
    return Reconstruction.of_frames(frames, seen, "clips/walk.mp4")


@pytest.fixture
def sequence() -> Reconstruction:
    return random_sequence(0, one_camera=True)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", WRITERS)
def test_round_trip(name, seed, tmp_path):
    sequence = random_sequence(seed, one_camera=seed % 2 == 0)
    WRITERS[name](sequence, tmp_path / name)
    loaded = kinflow.load(tmp_path)
    assert_same(loaded, sequence)
    for frame in sequence.frames:
        assert len(loaded.people_of(frame.index)) == len(sequence.people_of(frame.index))


def test_the_random_sequences_have_gaps_and_empty_frames():
    sequences = [random_sequence(seed) for seed in SEEDS]
    assert any(not s.people_of(f.index) for s in sequences for f in s.frames)
    inner = [
        (track, frame.index)
        for s in sequences
        for track in s.tracks
        for frame in s.frames
        if track.bodies[0].frame < frame.index < track.bodies[-1].frame
    ]
    assert any(i not in [body.frame for body in track.bodies] for track, i in inner)


def test_frames_are_as_documented(tmp_path):
    sequence = random_sequence(1)
    write_npz(sequence, tmp_path / "people.npz")
    write_json(sequence, tmp_path / "people.json")
    with np.load(tmp_path / "people.npz", allow_pickle=False) as arrays:
        assert arrays["frame_index"].tolist() == [f.index for f in sequence.frames]
        assert arrays["frame_principal_px"].shape == (7, 2)
        # who knows of one camera gets that of the first frame
        assert (
            arrays["focal_px"] == arrays["frame_focal_px"][0] == sequence.frames[0].camera.focal_px
        )
        places = list(zip(arrays["frame"].tolist(), arrays["person"].tolist(), strict=True))
        assert places == sorted(places) and len(set(places)) == len(places) > 5
        row = dict(zip(arrays["frame_index"].tolist(), arrays["frame_focal_px"], strict=True))
        joints_m, joints_px = arrays["joints_cam_m"], arrays["joints_px"]
        np.testing.assert_array_equal(arrays["time_s"], arrays["frame"] / 29.97)
        for i in np.flatnonzero((joints_m[..., 2] > 0.1).any(1)):
            joint = joints_m[i, :, 2].argmax()
            x, _, z = joints_m[i, joint]
            camera = sequence.frame(int(arrays["frame"][i])).camera
            expected = row[int(arrays["frame"][i])] * x / z + camera.principal_px[0]
            assert joints_px[i, joint, 0] == pytest.approx(expected, rel=1e-4)
    gravity = [frame.gravity for frame in sequence.frames]
    assert None in gravity and set(gravity) != {None}
    frames = json.loads((tmp_path / "people.json").read_text())["frames"]
    for frame, known in zip(frames, gravity, strict=True):
        assert frame.pop("up_cam") == (list(known.up_cam) if known else [None] * 3)
        assert frame.pop("up_std_deg") == (known.std_deg if known else None)
        assert frame.pop("floor_height_m") is frame.pop("floor_std_m") is None
        assert frame.pop("R_first_cam") == [[None] * 3] * 3
    assert frames[2] == {
        "index": sequence.frames[2].index,
        "time_s": sequence.frames[2].time_s,
        "focal_px": sequence.frames[2].camera.focal_px,
        "principal_px": list(sequence.frames[2].camera.principal_px),
        "image_size": list(SIZE),
    }


def test_a_track_of_two_shapes_is_refused(sequence, tmp_path):
    write_json(sequence, tmp_path / "people.json")
    document = json.loads((tmp_path / "people.json").read_text())
    number = document["people"][0]["person"]
    next(p for p in document["people"] if p["person"] == number)["shape"][0] += 0.01
    (tmp_path / "people.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=f"file of kinflow: The bodies of person {number} differ"):
        kinflow.load(tmp_path)


PICTURES = {
    "overlay": draw_overlay,
    "viewer": viewer_html,
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_are_of_one_frame(kind, sequence, photo):
    with pytest.raises(InputError, match="made for one frame, not for 7; choose one with"):
        PICTURES[kind](photo, sequence)
    frame = max(sequence.frames, key=lambda f: len(sequence.people_of(f.index)))
    seen = sequence.people_of(frame.index)
    alone = Reconstruction.of_frame(frame.camera, seen, sequence.source, frame.gravity)
    drawn = PICTURES[kind](photo, sequence.at(frame.index))
    assert np.array_equal(drawn, PICTURES[kind](photo, alone))


def test_a_folder_of_a_sequence_holds_its_people_alone(sequence, photo, tmp_path):
    with pytest.raises(InputError, match="made for one frame"):
        write_all(sequence, photo, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    write_all(sequence, photo, tmp_path / "a", ExportOptions(formats=("npz", "json")))
    assert_same(kinflow.load(tmp_path / "a"), sequence)
    assert_same(kinflow.load(Path(tmp_path / "a" / "people.json")), sequence)
