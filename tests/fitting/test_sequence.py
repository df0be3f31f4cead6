"""People through frames: smoother and truer than frame by frame, there where they were missed."""

from dataclasses import replace

import pytest
import torch

from kinflow.energy.unknowns import Unknowns
from kinflow.errors import InputError
from kinflow.evidence.types import ImageEvidence
from kinflow.fitting.clip import ClipFitConfig, ClipFitter, SeenPeople
from kinflow.fitting.clip_tracks import gravity_of_shot, with_one_shape
from kinflow.fitting.gaps import GapBridge, with_gaps_filled
from kinflow.fitting.paths import between, sparse_rows
from kinflow.fitting.sequence import TrackFitter
from kinflow.fitting.sequence_config import SequenceConfig
from kinflow.fitting.starts import R_CAM_UPRIGHT
from kinflow.fitting.track_targets import TrackWindow
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from kinflow.metrics.motion import acceleration_error_m_s2
from kinflow.metrics.pose import pa_mpjpe
from kinflow.results import Reconstruction
from kinflow.results.frames import Frame

FRAMES, RATE_HZ = 20, 30.0
TIMES_S = torch.arange(FRAMES) / RATE_HZ


@pytest.fixture(scope="module")
def walk_truth(fitter) -> Unknowns:
    """Somebody who walks past and swings their limbs."""
    g = torch.Generator().manual_seed(3)
    size = fitter.fitter.model.prior.latent_dim
    a = torch.linspace(0, 1, FRAMES)[:, None]
    first, last = 0.6 * torch.randn(2, 1, size, generator=g)
    R = R_CAM_UPRIGHT @ rotvec_to_matrix(torch.cat([0 * a, 0.3 + 0.8 * a, 0 * a], 1))
    t = torch.tensor([-0.5, 0.1, 4.0]) + a * torch.tensor([1.0, 0.0, 0.4])
    s = 0.5 * torch.randn(1, 6, generator=g).expand(FRAMES, 6)
    return Unknowns(R, t, first + a * (last - first), s, torch.zeros(FRAMES))


@pytest.fixture(scope="module")
def walk(walk_truth, camera, see):
    """The walk, and what is seen of each frame."""
    return see(walk_truth, camera, torch.Generator().manual_seed(3), noise_px=5.0)


@pytest.fixture(scope="module")
def tracks(fitter) -> TrackFitter:
    return TrackFitter(fitter)


def joints(tracks: TrackFitter, bodies: Unknowns) -> torch.Tensor:
    return tracks.photos.fitter.joints_m(bodies)


def window(scene, missed=()) -> TrackWindow:
    seen = tuple(None if i in missed else p for i, p in enumerate(scene.evidence.people))
    return TrackWindow(TIMES_S, seen)


def test_a_track_is_smoother_and_truer_than_its_frames(tracks, fitter, walk, camera):
    photos = [ImageEvidence(camera.image_size, (person,)) for person in walk.evidence.people]
    fits = fitter.fit_photos(photos, [camera] * FRAMES)
    alone = torch.stack([fit.people[0].joints_cam_m for fit in fits])
    (fit,), _ = tracks.fit([window(walk)], camera)
    together = joints(tracks, fit.bodies)
    rough, smooth = (
        float(acceleration_error_m_s2(found, walk.joints_m, RATE_HZ)) for found in (alone, together)
    )
    assert smooth < 0.25 * rough
    errors = [float(pa_mpjpe(found, walk.joints_m).mean()) for found in (alone, together)]
    assert errors[1] < 1.02 * errors[0]
    assert torch.equal(fit.bodies.s, fit.bodies.s[:1].expand(FRAMES, -1))


def test_a_track_that_begins_with_some_of_its_frames_ends_where_it_does_with_all(
    fitter, walk, camera
):
    """Settled frames among them, and frames that lack the person."""
    whole, half = (TrackFitter(fitter, SequenceConfig(begin_gap_s=s)) for s in (0.01, 0.105))
    known = whole.fit([window(walk)], camera)[0][0].bodies[:6]
    seen = replace(window(walk, (9, 10, 14)), known=known, known_rows=torch.arange(6), settled=2)
    found = [joints(tracks, tracks.fit([seen], camera)[0][0].bodies) for tracks in (whole, half)]
    torch.testing.assert_close(found[0][:2], found[1][:2])
    assert float((found[0] - found[1]).norm(dim=-1).mean()) < 0.03
    errors = [float(pa_mpjpe(one, walk.joints_m).mean()) for one in found]
    assert errors[1] < errors[0] + 0.005


@pytest.mark.parametrize(
    ("rate_hz", "kept", "expected"),
    [
        (30, 0, [0, 2, 4, 6, 8]),
        (30, 3, [0, 1, 2, 4, 6, 8]),
        (25, 2, [0, 1, 3, 5, 7, 8]),
        (5, 0, list(range(9))),
        (100, 0, [0, 8]),
    ],
)
def test_rows_are_left_out_where_they_follow_each_other_quickly(rate_hz, kept, expected):
    assert sparse_rows([i / rate_hz for i in range(9)], 0.085, kept) == expected


def test_gaps_stay_and_one_row_is_all_rows():
    assert sparse_rows([0.0, 0.03, 0.5, 0.53, 0.57], 0.085, 0) == [0, 1, 2, 4]
    assert sparse_rows([0.0], 0.085, 1) == [0]


def test_whoever_was_missed_is_where_motion_puts_them(tracks, walk, camera):
    missed = range(8, 13)
    (fit,), _ = tracks.fit([window(walk, missed)], camera)
    found = joints(tracks, fit.bodies)
    rows = list(missed)
    error_m = float(pa_mpjpe(found[rows], walk.joints_m[rows]).mean())
    seen_m = float(pa_mpjpe(found[:8], walk.joints_m[:8]).mean())
    assert error_m < seen_m + 0.03
    gap = (found[1:] - found[:-1]).norm(dim=-1)
    assert float(gap.max()) < 0.15  # no jump


def test_settled_frames_stay_and_the_others_follow_them(tracks, walk, camera):
    (before,), _ = tracks.fit([window(walk)], camera)
    known = before.bodies[:6]
    moved = replace(known, t_cam_root_m=known.t_cam_root_m + torch.tensor([0.0, 0.0, 0.1]))
    later = replace(window(walk), known=moved, known_rows=torch.arange(6), settled=2)
    (after,), _ = tracks.fit([later], camera)
    for name in ("R_cam_root", "t_cam_root_m", "z", "s"):
        torch.testing.assert_close(getattr(after.bodies[:2], name), getattr(moved[:2], name))
    gap = joints(tracks, after.bodies)
    assert float((gap[2:] - gap[1:-1]).norm(dim=-1).max()) < 0.15


def test_bodies_between_others_turn_and_move_evenly(fitter, walk):
    g = torch.Generator().manual_seed(5)
    R = rotvec_to_matrix(torch.randn(2, 3, generator=g))
    z, s = torch.randn(2, 4, generator=g), torch.randn(2, 6, generator=g)
    keys = Unknowns(R, torch.randn(2, 3, generator=g), z, s, torch.zeros(2))
    times = torch.tensor([0.0, 0.25, 0.5, 1.0, 2.0])
    found = between(keys, torch.tensor([0.0, 1.0]), times)
    torch.testing.assert_close(found.R_cam_root[[0, 3, 4]], R[[0, 1, 1]], atol=1e-5, rtol=0)
    torch.testing.assert_close(found.t_cam_root_m[2], keys.t_cam_root_m.mean(0))
    whole, half = (matrix_to_rotvec(found.R_cam_root[i] @ R[0].mT) for i in (3, 2))
    torch.testing.assert_close(half, whole / 2, atol=1e-4, rtol=1e-3)
    assert torch.equal(found.s, keys.s.mean(0).expand(5, 6))
    one = between(keys[:1], torch.zeros(1), times)
    assert torch.equal(one.z, z[:1].expand(5, 4))


def test_a_clip_in_windows_gives_every_frame_once_and_in_order(fitter, walk, camera):
    config = ClipFitConfig(window=10, ahead=3)
    clip = ClipFitter(fitter, camera, config)
    done, sizes = [], []
    for i in range(FRAMES):
        missed = i in (5, 6)
        people = () if missed else walk.evidence.people[i : i + 1]
        frame = SeenPeople(
            float(TIMES_S[i]), 0, ImageEvidence(camera.image_size, people), () if missed else (4,)
        )
        done += clip.add(frame)
        sizes.append(len(done))
    done += clip.finish()
    assert len(done) == FRAMES and 0 < sizes[10] < 10 and sizes[-1] < FRAMES
    assert all(frame.gravity is not None for frame in done)
    assert all([person.person for person in frame.people] == [4] for frame in done)
    codes = [frame.people[0].code for frame in done]
    assert [i for i, code in enumerate(codes) if code == "not_seen"] == [5, 6]
    people = with_one_shape([frame.people for frame in done])
    stated = [seen[0].shape_std for seen in people]
    assert all(std is not None and bool((std > 0).all()) for std in stated)
    found = torch.stack([seen[0].joints_cam_m for seen in people])
    assert float((found[1:] - found[:-1]).norm(dim=-1).max()) < 0.2  # also where windows meet
    frames = [Frame(i, float(TIMES_S[i]), camera) for i in range(FRAMES)]
    result = Reconstruction.of_frames(frames, people)
    assert len(result.tracks) == 1 and len(result.tracks[0].bodies) == FRAMES


def test_a_cut_ends_what_is_known(fitter, walk, camera):
    clip = ClipFitter(fitter, camera, ClipFitConfig(window=8, ahead=2))
    done = []
    for i in range(6):
        people = walk.evidence.people[i : i + 1]
        frame = ImageEvidence(camera.image_size, people)
        done += clip.add(SeenPeople(float(TIMES_S[i]), int(i > 3), frame, (int(i > 3),)))
        assert len(done) == (4 if i > 3 else 0)
    done += clip.finish()
    assert [frame.people[0].person for frame in done] == [0, 0, 0, 0, 1, 1]


def test_gaps_are_filled_within_a_shot_only(fitter, walk, camera):
    people = fitter.fit(ImageEvidence(camera.image_size, walk.evidence.people[:1]), camera).people
    there, later = people[0], replace(people[0], t_cam_root_m=people[0].t_cam_root_m + 0.4)
    frames = [[there], [], [], [], [later]]
    times = [0.0, 0.1, 0.2, 0.3, 0.4]
    filled = with_gaps_filled(frames, times, [0] * 5)
    assert [len(seen) for seen in filled] == [1] * 5
    middle = filled[2][0]
    assert middle.code == "not_seen" and not middle.keypoints_px[:, 2].any()
    torch.testing.assert_close(middle.t_cam_root_m, there.t_cam_root_m + 0.2)
    torch.testing.assert_close(
        middle.joints_cam_m - middle.t_cam_root_m,
        there.joints_cam_m - there.t_cam_root_m,
        atol=1e-4,
        rtol=0,
    )
    assert [len(seen) for seen in with_gaps_filled(frames, times, [0, 0, 0, 1, 1])] == [
        1,
        0,
        0,
        0,
        1,
    ]


def panning() -> torch.Tensor:
    """R_first_cam of a camera that turns by 25 degrees to the left, tilts and rolls."""
    a = torch.linspace(0, 1, FRAMES)[:, None]
    return rotvec_to_matrix(a * torch.deg2rad(torch.tensor([4.0, -25.0, 6.0])))


@pytest.fixture(scope="module")
def panned(walk_truth, camera, see):
    """The same walk by a camera that turns: what it sees, in its own frames."""
    g = torch.Generator().manual_seed(3)
    return see(walk_truth.turned(panning().mT), camera, g, noise_px=5.0)


def in_first(joints_m: torch.Tensor) -> torch.Tensor:
    return joints_m @ panning().mT


def test_turns_that_are_known_put_motion_right(tracks, panned, camera):
    """A walk by a camera that turns, as if that stood still, and with its turns."""
    truth_m = in_first(panned.joints_m)[:, 0]
    (fit,), _ = tracks.fit([window(panned)], camera)
    as_still = joints(tracks, fit.bodies)[:, 0]
    (fit,), gravity = tracks.fit([replace(window(panned), R_still_cam=panning())], camera)
    known = in_first(joints(tracks, fit.bodies))[:, 0]
    ways = [(path - path[:1] - truth_m + truth_m[:1]).norm(dim=-1) for path in (as_still, known)]
    assert float(ways[1].max()) < min(0.25, 0.3 * float(ways[0].max()))
    assert gravity.pitch_deg == pytest.approx(0, abs=6)
    assert gravity.roll_deg == pytest.approx(0, abs=6)


def test_a_camera_that_turns_changes_nothing_but_what_it_sees(tracks, walk_truth, camera, see):
    """The same evidence but for the turns gives the same motion in the world."""
    g = torch.Generator().manual_seed(11)
    still = see(walk_truth, camera, g, noise_px=0.0)
    g = torch.Generator().manual_seed(11)
    turned = see(walk_truth.turned(panning().mT), camera, g, noise_px=0.0)
    (one,), _ = tracks.fit([window(still)], camera)
    (two,), _ = tracks.fit([replace(window(turned), R_still_cam=panning())], camera)
    gap = in_first(joints(tracks, two.bodies)) - joints(tracks, one.bodies)
    assert float((gap - gap[:, :1]).norm(dim=-1).median()) < 0.05
    ways = [
        (m[-1, 0] - m[0, 0])
        for m in (joints(tracks, one.bodies), in_first(joints(tracks, two.bodies)))
    ]
    assert float((ways[0] - ways[1]).norm()) < 0.15


def test_all_frames_of_a_turning_camera_have_one_world(fitter, panned, camera):
    clip = ClipFitter(fitter, camera, ClipFitConfig(window=10, ahead=3))
    done, turns = [], panning()
    for i in range(FRAMES):
        seen = ImageEvidence(camera.image_size, panned.evidence.people[i : i + 1])
        done += clip.add(SeenPeople(float(TIMES_S[i]), 0, seen, (0,), turns[i].double()))
    done += clip.finish()
    assert len(done) == FRAMES
    R_first_cam = [R.double() for R in turns]
    known = gravity_of_shot([frame.gravity for frame in done], R_first_cam)
    up = [one.turned(R).up_cam for one, R in zip(known, R_first_cam, strict=True) if one]
    torch.testing.assert_close(torch.tensor(up), torch.tensor(up[:1]).expand(FRAMES, 3))
    # a window's gravity is common to its frames, each of which has its own camera
    own = [frame.gravity for frame in done]
    mine = [one.turned(R).up_cam for one, R in zip(own, R_first_cam, strict=True) if one]
    torch.testing.assert_close(torch.tensor(mine[:7]), torch.tensor(mine[:1]).expand(7, 3))
    assert own[6] is not None
    assert abs(mine[0][1] - own[6].up_cam[1]) > 1e-4
    way = torch.stack([f.people[0].t_cam_root_m for f in done])
    way = (panning() @ way[..., None])[..., 0]
    assert float((way[-1] - way[0])[0]) == pytest.approx(1.0, abs=0.3)  # a metre to the right


def test_gaps_are_filled_in_the_world_of_a_turning_camera(fitter, walk, camera):
    """Whoever stands still while the camera turns past stands still in the gap as well."""
    people = fitter.fit(ImageEvidence(camera.image_size, walk.evidence.people[:1]), camera).people
    R = rotvec_to_matrix(torch.tensor([[0.0, 0.1 * i, 0.0] for i in range(5)]))
    first = people[0]
    pose = first.pose.clone()
    pose[0] = R[4].mT @ pose[0]
    last = replace(first, pose=pose, R_cam_root=pose[0], t_cam_root_m=R[4].mT @ first.t_cam_root_m)
    filled = with_gaps_filled(
        [[first], [], [], [], [last]], [0.0, 0.1, 0.2, 0.3, 0.4], [0] * 5, list(R)
    )
    for body, turn in zip((seen[0] for seen in filled), R, strict=True):
        torch.testing.assert_close(turn @ body.t_cam_root_m, first.t_cam_root_m)
        if body.code == "not_seen":
            joints_m = body.joints_cam_m @ turn.mT
            torch.testing.assert_close(joints_m, first.joints_cam_m, atol=2e-3, rtol=0)


def test_gaps_that_no_window_has_both_ends_of_are_filled_as_people_move(tracks, walk, camera):
    """Somebody who walks keeps swinging their legs, and is where they have to be at both ends."""
    fitter = ClipFitter(tracks.photos, camera, ClipFitConfig(window=48, ahead=2))
    done = []
    for i in range(FRAMES):
        people = walk.evidence.people[i : i + 1]
        frame = ImageEvidence(camera.image_size, people)
        done += fitter.add(SeenPeople(float(TIMES_S[i]), 0, frame, (0,)))
    done += fitter.finish()
    whole = with_one_shape([frame.people for frame in done])
    hidden = range(4, FRAMES - 2)
    cut = [[] if row in hidden else people for row, people in enumerate(whole)]
    up = [frame.gravity for frame in done]
    bridge = tracks.bridge
    assert bridge is not None

    def filled(times_s: list[float], bridge: GapBridge | None) -> torch.Tensor:
        people = with_gaps_filled(cut, times_s, [0] * FRAMES, None, up, bridge)
        assert {people[row][0].code for row in hidden} == {"not_seen"}
        return torch.stack([frame[0].joints_cam_m for frame in people])

    times_s = [float(t) for t in TIMES_S]
    moved, even = filled(times_s, bridge), filled(times_s, None)
    assert float((moved - even).abs().max()) > 0.01
    assert float((moved[1:] - moved[:-1]).norm(dim=-1).max()) < 0.25
    # a rate that the dynamics know nothing of
    slow = [10 * t for t in times_s]
    torch.testing.assert_close(filled(slow, bridge), filled(slow, None))


@pytest.mark.parametrize(
    "change",
    [
        {"search_every": 0},
        {"begin_gap_s": 0.0},
        {"acceleration_std_m_s2": 0.0},
        {"gap_prior_weight": 2.0},
    ],
)
def test_options_of_sequences_out_of_range_are_refused(change):
    with pytest.raises(InputError):
        SequenceConfig(**change)


def test_a_window_has_to_be_longer_than_what_is_fitted_again():
    with pytest.raises(InputError, match="half of the window"):
        ClipFitConfig(window=10, ahead=6)
