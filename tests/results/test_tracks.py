"""Laws of frames, tracks and reconstructions."""

import pickle
import random
from dataclasses import replace

import pytest
import torch

import kinflow
from kinflow.errors import InputError
from kinflow.geometry.pinhole import Camera
from kinflow.results import Frame, Person, Reconstruction, Track
from kinflow.results.tracks import tracks_of

CAMERA = Camera.from_fov((320, 240), 55.0)
FRAMES = tuple(Frame(index, index / 25, CAMERA) for index in (0, 2, 3, 7))


def body(person: int, frame: Frame | None = None, shape: float = 0.5) -> Person:
    """A person who differs from others by what the laws are about."""
    eye = torch.eye(3)
    return Person(
        person=person,
        camera=CAMERA if frame is None else frame.camera,
        R_cam_root=eye,
        t_cam_root_m=torch.tensor([0.0, 0.0, 3.0]),
        pose=eye.repeat(22, 1, 1),
        z=torch.zeros(4),
        shape=torch.full((6,), shape),
        joints_cam_m=torch.ones(22, 3),
        joint_std_m=torch.zeros(22),
        t_cam_root_std_m=torch.zeros(3),
        keypoints_px=torch.zeros(33, 3),
        score=1.0,
        frame=0 if frame is None else frame.index,
        time_s=0.0 if frame is None else frame.time_s,
    )


def test_a_photo_is_the_case_of_one_frame():
    people = (body(0), body(1, shape=0.3))
    photo = Reconstruction.of_frame(CAMERA, people, "photo.jpg")
    assert photo.frames == (photo.only_frame,) == (Frame(0, 0.0, CAMERA),)
    assert photo.camera is CAMERA and photo.source == "photo.jpg"
    assert [p.person for p in photo.people] == [0, 1] == [t.identity for t in photo.tracks]
    assert photo.people == photo.people_of(0) and all(
        one.pose is two.pose for one, two in zip(people, photo.people, strict=True)
    )
    assert torch.equal(photo.tracks[1].shape, people[1].shape)
    assert Reconstruction.of_frame(CAMERA, ()).people == ()


@pytest.mark.parametrize("seed", range(20))
def test_people_are_found_by_frame_and_by_track(seed):
    rng = random.Random(seed)
    present = {(f.index, n) for f in FRAMES for n in (1, 4, 5, 9) if rng.random() < 0.6}
    seen = [[body(n) for n in (1, 4, 5, 9) if (f.index, n) in present] for f in FRAMES]
    for bodies in seen:
        rng.shuffle(bodies)
    result = Reconstruction.of_frames(FRAMES, seen, "clip.mp4")
    assert [(p.frame, p.person) for p in result.people] == sorted(present)
    assert [t.identity for t in result.tracks] == sorted({n for _, n in present})
    for track in result.tracks:
        assert [b.frame for b in track.bodies] == sorted(
            i for i, n in present if n == track.identity
        )
    for frame in FRAMES:
        here = result.people_of(frame.index)
        assert [p.person for p in here] == sorted(n for i, n in present if i == frame.index)
        assert all((p.time_s, p.camera) == (frame.time_s, frame.camera) for p in here)
        alone = result.at(frame.index)
        assert alone.only_frame == frame == result.frame(frame.index)
        assert [p.person for p in alone.people] == [p.person for p in here]
    again = Reconstruction(FRAMES, tuple(reversed(result.tracks)))
    assert [p is q for p, q in zip(again.people, result.people, strict=True)] == [True] * len(
        present
    )


def test_cameras_that_differ_are_asked_of_frames():
    zoomed = Frame(9, 1.0, replace(CAMERA, focal_px=900.0))
    frames = (*FRAMES, zoomed)
    result = Reconstruction.of_frames(frames, [[body(1, frame)] for frame in frames])
    with pytest.raises(InputError, match="Frames 0 and 9 were seen by different cameras"):
        _ = result.camera
    assert result.frame(9).camera.focal_px == result.people[-1].camera.focal_px == 900.0
    assert result.at(9).camera == zoomed.camera
    assert Reconstruction.of_frames(FRAMES, [[]] * 4).camera == CAMERA


def test_results_travel_between_processes():
    result = Reconstruction.of_frames(FRAMES, [[body(1)], [], [body(1), body(2)], []])
    assert result.people_of(3)
    copy = pickle.loads(pickle.dumps(result))
    assert copy.frames == FRAMES
    assert [(p.frame, p.person) for p in copy.people] == [(0, 1), (3, 1), (3, 2)]


MOVED = replace(CAMERA, principal_px=(100.0, 100.0))
BROKEN = {
    "There is no frame 5.": lambda: Reconstruction.of_frames(FRAMES, [[]] * 4).frame(5),
    "no frame 4.": lambda: Reconstruction.of_frames(FRAMES, [[]] * 4).people_of(4),
    "no frame 1.": lambda: Reconstruction(FRAMES, (Track((body(1, Frame(1, 0.04, CAMERA)),)),)),
    "one frame, not for 4": lambda: Reconstruction.of_frames(FRAMES, [[]] * 4).only_frame,
    "has to have at least one frame": lambda: Reconstruction((), ()),
    "people of 3 frames for 4": lambda: Reconstruction.of_frames(FRAMES, [[]] * 3),
    "frame 2 at 0.08 s follows frame 3": lambda: Reconstruction((FRAMES[2], FRAMES[1]), ()),
    "frame 1 at 0 s follows": lambda: Reconstruction((FRAMES[0], Frame(1, 0.0, CAMERA)), ()),
    "frame 0 at 1 s follows frame 0": lambda: Reconstruction(
        (FRAMES[0], Frame(0, 1.0, CAMERA)), ()
    ),
    "two bodies in frame 0": lambda: Reconstruction.of_frame(CAMERA, [body(3), body(3)]),
    "Person 3 has two tracks": lambda: Reconstruction(
        FRAMES, (Track((body(3, FRAMES[0]),)), Track((body(3, FRAMES[1]),)))
    ),
    "differ in shape": lambda: Reconstruction.of_frames(
        FRAMES, [[body(1, shape=0.5)], [], [body(1, shape=0.6)], []]
    ),
    "at least one body": lambda: Track(()),
    "holds bodies of others": lambda: Track((body(1, FRAMES[0]), body(2, FRAMES[1]))),
    "not in the order": lambda: Track((body(1, FRAMES[1]), body(1, FRAMES[0]))),
    "at 0.5 s, but that frame is at 0 s": lambda: Reconstruction(
        FRAMES, tracks_of([replace(body(1), time_s=0.5)])
    ),
    "another camera than the frame": lambda: Reconstruction.of_frame(MOVED, [body(1)]),
    "index has to be a whole number": lambda: Frame(-1, 0.0, CAMERA),
    "time_s has to be a number": lambda: Frame(0, float("nan"), CAMERA),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_laws(sentence):
    with pytest.raises(InputError, match=sentence):
        BROKEN[sentence]()


def test_public_names():
    assert (kinflow.Frame, kinflow.Track) == (Frame, Track)
    assert {"Frame", "Track"} <= set(kinflow.__all__)
