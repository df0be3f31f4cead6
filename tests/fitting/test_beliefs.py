"""What a network believes, in the fit: it decides what nobody saw, and yields to what was seen."""

import math
from dataclasses import replace

import pytest
import torch

from kinflow.energy.belief import Belief
from kinflow.energy.body_energy import Targets
from kinflow.errors import InputError
from kinflow.evidence.region import Region
from kinflow.evidence.types import CloseLook, ImageEvidence, PersonEvidence
from kinflow.fitting.beliefs import BeliefConfig, BelievedStarts, beliefs, gaussian
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.fitting.sample_kinds import BENT_DEG, hip_flexion_deg
from kinflow.fitting.track_targets import TrackWeights, TrackWindow, targets_of_tracks
from kinflow.geometry import Camera
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.metrics.pose import pa_mpjpe
from kinflow.predictors import Looks, Predictor, PredictorInfo
from kinflow.predictors.network import NetworkConfig

LEGS = tuple(f"{side}_{point}" for side in ("left", "right") for point in ("knee", "ankle"))
FEET = tuple(f"{side}_{point}" for side in ("left", "right") for point in ("heel", "big_toe"))
CONFIG = BeliefConfig(starts=3, samples=64)


@pytest.fixture(scope="module")
def predictor(prior) -> Predictor:
    config = NetworkConfig(
        prior.latent_dim, width=24, layers=1, readout=24, blocks=1, context=8, flow_blocks=1
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Predictor(config, PredictorInfo()).eval().requires_grad_(False)


def with_look(evidence: ImageEvidence, rows: tuple[int, ...]) -> ImageEvidence:
    look = CloseLook(
        Region((600.0, 450.0), 500.0),
        torch.rand(33, 3) - 0.5,
        torch.randn(33, 3),
        torch.rand(1152),
        torch.randn(33, 288).half(),
        torch.rand(4608).half(),
    )
    people = [replace(p, look=look if i in rows else None) for i, p in enumerate(evidence.people)]
    return replace(evidence, people=tuple(people))


def knows(fitter: PhotoFitter, evidence: ImageEvidence, camera, truth, std: float) -> Belief:
    """A belief with the truth in its centre."""
    log_depth = truth.t_cam_root_m[:, 2:].log()
    centre = torch.cat([torch.zeros(len(truth), 3), truth.z, log_depth, truth.s], 1)
    size = centre.shape[1]
    return Belief(
        R_cam_base=truth.R_cam_root,
        centre=centre,
        whitening=(torch.eye(size) / std).expand(len(truth), -1, -1),
        starts=type(truth)(**{n: v[:, None] for n, v in vars(truth).items()}),
        prior_weight=torch.zeros(len(truth)),
        child_log_odds=torch.zeros(len(truth)),
    )


def truth_of(fitter: PhotoFitter, evidence: ImageEvidence, camera):
    """Bodies that explain a scene in which everything is seen."""
    found = fitter.fitter.fit(fitter.targets(evidence, camera))
    rows = [int(found.of(i)[0]) for i in range(len(evidence.people))]
    return found.unknowns[torch.tensor(rows)]


def test_what_nobody_saw_is_as_it_is_believed(fitter, make_scene, camera):
    seen = make_scene((20.0,), seed=3)
    truth = truth_of(fitter, seen.evidence, camera)
    hidden = make_scene((20.0,), seed=3, hidden=LEGS + FEET).evidence
    blind = replace(hidden, people=tuple(replace(p, world_m=None) for p in hidden.people))
    targets = fitter.targets(blind, camera)
    errors = []
    for belief in (None, knows(fitter, blind, camera, truth, 0.3)):
        found = fitter.fitter.fit(replace(targets, belief=belief))
        joints = fitter.fitter.joints_m(found.unknowns[found.of(0)[:1]])
        errors.append(float(pa_mpjpe(joints, seen.joints_m).mean()))
    assert errors[1] < 0.02 < errors[0]


def test_drawn_bodies_spread_as_is_believed(fitter, make_scene, camera):
    scene = make_scene((20.0, 90.0), seed=3)
    truth = truth_of(fitter, scene.evidence, camera)
    belief = knows(fitter, scene.evidence, camera, truth, 0.2)
    sure = torch.tensor([[[1.0]], [[4.0]]])
    size = belief.centre.shape[1]
    lower = (torch.eye(size) + 0.3 * torch.ones(size, size).tril(-1)) * sure / 0.2
    belief = replace(belief, whitening=lower, centre=belief.centre + 0.1)
    drawn = belief.drawn(6000, truth)
    z = drawn.z.unflatten(0, (2, 6000))
    torch.testing.assert_close(z.mean(1), truth.z + 0.1, atol=1e-4, rtol=0.0)
    latent = slice(3, 3 + truth.z.shape[1])
    expected = torch.linalg.inv(lower.mT @ lower)[:, latent, latent]
    gap = z - z.mean(1, keepdim=True)
    torch.testing.assert_close(gap.mT @ gap / 6000, expected, atol=0.004, rtol=0.0)
    assert torch.equal(drawn.s[:6000], truth.s[:1].expand(6000, -1))
    assert torch.equal(belief.drawn(4, truth).z, belief.drawn(4, truth).z)


def test_a_person_of_whom_nothing_is_believed_has_no_deviation_of_a_network(
    fitter, make_scene, camera
):
    scene = make_scene((20.0, 90.0), seed=3)
    truth = truth_of(fitter, scene.evidence, camera)
    belief = knows(fitter, scene.evidence, camera, truth, 0.3)
    belief = replace(belief, whitening=belief.whitening * torch.tensor([[[1.0]], [[0.0]]]))
    targets = replace(fitter.targets(scene.evidence, camera), belief=belief)
    network_m = fitter.fitter.describe(truth, targets).network_m
    assert network_m[1].isnan().all() and network_m[0].isfinite().all()
    assert (network_m[0, 1:] > 0.005).all() and (network_m[0] < 0.5).all()


def test_what_was_seen_outweighs_a_wrong_belief(fitter, make_scene, camera):
    scene, other = make_scene((20.0,), seed=3), make_scene((20.0,), seed=8)
    wrong = knows(fitter, scene.evidence, camera, truth_of(fitter, other.evidence, camera), 1.0)
    targets = replace(fitter.targets(scene.evidence, camera), belief=wrong)
    found = fitter.fitter.fit(targets)
    joints = fitter.fitter.joints_m(found.unknowns[found.of(0)[:1]])
    assert float(pa_mpjpe(joints, scene.joints_m).mean()) < 0.06


def test_whom_the_detector_did_not_look_at_is_fitted_as_before(
    prior, fitter, predictor, make_scene, camera
):
    scene = make_scene((0.0, 60.0))
    half = with_look(scene.evidence, (1,))
    believing = PhotoFitter(prior, PhotoFitConfig(belief=CONFIG), predictor=predictor)
    targets: Targets = believing.targets(half, camera)
    assert targets.belief is not None and targets.hint is not None
    assert targets.belief.says_something().tolist() == [False, True]
    assert targets.belief.prior_weight.tolist() == [1.0, pytest.approx(CONFIG.prior_weight)]
    assert targets.belief.child_log_odds.isnan().tolist() == [True, False]
    assert targets.hint.known().tolist() == [True, False]
    proposals = BelievedStarts().propose(targets, believing.fitter.names)
    assert proposals.person.tolist() == [1] * CONFIG.starts
    without = believing.targets(scene.evidence, camera)
    assert without.belief is None
    found = believing.fit(half, camera).people
    assert len(found) == 2


def test_of_frames_that_the_network_is_not_asked_of_it_believes_what_is_between(
    prior, predictor, make_scene, camera
):
    scene = make_scene(tuple(10.0 * i for i in range(6)))
    seen: list[PersonEvidence | None] = list(with_look(scene.evidence, (0, 1, 2, 4, 5)).people)
    seen[4] = None
    track = TrackWindow(torch.tensor([0.0, 1, 2, 3, 4, 5]) / 30, tuple(seen))
    photos = PhotoFitter(prior, PhotoFitConfig(belief=CONFIG), predictor=predictor)
    weights = TrackWeights(1.0, 1.0, 100.0, 0.05)
    (found,) = targets_of_tracks(photos, [track], camera, weights, [[0, 2, 5]])
    assert found.belief is not None

    # nobody looked at the fourth frame, and the fifth lacks the person
    assert found.belief.says_something().tolist() == [True, True, True, False, False, True]
    centre = found.belief.centre
    torch.testing.assert_close(centre[1], 0.5 * (centre[0] + centre[2]))
    left = [CONFIG.prior_weight] * 3 + [1.0, 0.05, CONFIG.prior_weight]
    assert found.belief.prior_weight.tolist() == pytest.approx(left)
    assert found.hint is None or found.hint.known().tolist()[:3] == [False] * 3


SEEN, HIDDEN = torch.tensor([False]), torch.tensor([True])


def test_a_gaussian_has_the_samples_moments(prior, predictor):
    look = with_look_of()
    posterior = predictor(Looks.of([look], [Camera.from_fov((1200, 900), 55.0)]))
    config = replace(CONFIG, std_scale=1.0, samples=4000, shrinkage=0.0)
    belief = gaussian(posterior, SEEN, prior, config)
    drawn = posterior.sample(4000, torch.Generator().manual_seed(5))
    several = belief[torch.zeros(4000, dtype=torch.long)]
    r, _ = several.residual(drawn)
    assert abs(float(r.mean())) < 0.05
    assert 0.8 < float(r.square().mean()) < 1.1


def test_poses_are_believed_nearer_to_the_best_guess_and_sizes_are_not(prior, predictor):
    """Everything between the samples' mean and the guess, as surely; depth and shape stay."""
    look = with_look_of()
    posterior = predictor(Looks.of([look], [Camera.from_fov((1200, 900), 55.0)]))
    # nobody is a child, so that all samples count
    older = torch.zeros_like(posterior.guess.centre)
    older[:, -5] = 3.0
    posterior = posterior.about(posterior.guess.centre + older)
    mean, half, guess = (
        gaussian(posterior, SEEN, prior, replace(CONFIG, guess_share=share))
        for share in (0.0, 0.5, 1.0)
    )
    torch.testing.assert_close(half.centre, (mean.centre + guess.centre) / 2)
    torch.testing.assert_close(half.whitening, mean.whitening)
    best = posterior.point()
    latent = slice(3, 3 + best.z.shape[1])
    torch.testing.assert_close(guess.centre[:, latent], best.z, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(guess.centre[:, :3], torch.zeros(1, 3), atol=1e-4, rtol=0.0)
    assert (mean.centre[:, latent] - best.z).abs().max() > 0.01
    torch.testing.assert_close(guess.centre[:, latent.stop :], mean.centre[:, latent.stop :])


def test_a_mirrored_photo_is_believed_to_show_the_mirrored_body(prior, predictor, make_scene):
    """With a look at each side, whichever of both is the photo; and others are as without."""
    camera = Camera.from_fov((1200, 900), 55.0)
    person = make_scene((0.0,)).evidence.people[0]
    own = replace(with_look_of(), region=Region((820.0, 500.0), 500.0, 0.3))
    other = replace(own, features=own.features.flip(0), landmarks=own.landmarks.flip(0))
    # looks are mirrored here, keypoints, which say how straight limbs are, are not
    asked = replace(CONFIG, guess_share=1.0, straight_limbs=False)

    def believed(first: CloseLook, second: CloseLook | None) -> Belief:
        seen = [
            replace(person, look=own),
            replace(person, look=first, look_in_mirror=second),
        ]
        belief = beliefs(predictor, seen, [camera] * 2, prior, asked)
        assert belief is not None
        return belief

    def opposite(look: CloseLook) -> CloseLook:
        region = look.region
        x, y = region.center_px
        return replace(look, region=replace(region, center_px=(1200 - x, y), roll=-region.roll))

    both, back = believed(own, other), believed(opposite(other), opposite(own))
    once = believed(own, None)
    torch.testing.assert_close(both.centre[0], once.centre[0])
    assert float((both.centre[1] - once.centre[1]).abs().amax()) > 1e-3
    flip = torch.tensor([-1.0, 1.0, 1.0])
    R = [rotvec_to_matrix(belief.centre[1, :3]) @ belief.R_cam_base[1] for belief in (both, back)]
    torch.testing.assert_close(R[1], R[0] * flip[:, None] * flip, atol=0.004, rtol=0)


def test_who_hides_their_legs_sits_or_stands(prior, predictor):
    """All bodies to start from are of one posture, and the other one with another threshold."""
    posterior = predictor(Looks.of([with_look_of()], [Camera.from_fov((1200, 900), 55.0)]))
    config = replace(CONFIG, samples=2000, starts=12)
    flexions, centres = [], []
    for share in (0.001, 1.0):
        belief = gaussian(posterior, HIDDEN, prior, replace(config, sitting_share=share))
        flexions.append(hip_flexion_deg(prior.decode(belief.starts.z[0, 1:])))
        centres.append(float(hip_flexion_deg(prior.decode(belief.centre[0, 3:-7]))))
    assert (flexions[0] > BENT_DEG).all() and (flexions[1] <= BENT_DEG).all()
    assert centres[0] > centres[1]
    seen = gaussian(posterior, SEEN, prior, replace(config, sitting_share=0.001)).starts.z[0, 1:]
    assert 0 < int((hip_flexion_deg(prior.decode(seen)) > BENT_DEG).sum()) < 11


def test_people_of_other_photos_are_no_company(prior, predictor):
    """Five alike of whom few samples sit: together in a photo nobody does, each alone everybody."""
    look, camera = with_look_of(), Camera.from_fov((1200, 900), 55.0)
    posterior = predictor(Looks.of([look] * 5, [camera] * 5))
    config = replace(CONFIG, samples=500, sitting_share=0.001, company=1000.0)

    def sits(photo: torch.Tensor | None) -> torch.Tensor:
        belief = gaussian(posterior, HIDDEN.expand(5), prior, config, photo)
        return hip_flexion_deg(prior.decode(belief.starts.z[:, 1])) > BENT_DEG

    assert not sits(None).any() and not sits(torch.zeros(5).long()).any()
    assert sits(torch.arange(5)).all()


def test_what_is_said_of_hidden_legs_is_believed_less(prior, predictor):
    """Spreads are as stated times a factor of their own, and everybody else's stay."""
    posterior = predictor(Looks.of([with_look_of()], [Camera.from_fov((1200, 900), 55.0)]))
    for people, factor in ((HIDDEN, 2.0), (SEEN, 1.0)):
        near, far = (
            gaussian(posterior, people, prior, replace(CONFIG, hidden_std_scale=scale)).whitening
            for scale in (0.4, 0.8)
        )
        torch.testing.assert_close(near, factor * far)


def test_it_counts_the_samples_that_are_children(prior, predictor):
    posterior = predictor(Looks.of([with_look_of()], [Camera.from_fov((1200, 900), 55.0)]))
    told, size = [], posterior.guess.centre.shape[1]
    for years in (-6.0, -3.0, 0.0):  # of the latent age, which is the fifth number from the end
        shift = torch.zeros(size)
        shift[-5] = years
        moved = posterior.about(posterior.guess.centre + shift)
        told.append(float(gaussian(moved, SEEN, prior, CONFIG).child_log_odds))
    assert told[0] > told[1] > told[2]
    assert all(abs(odds) <= math.log(2 * CONFIG.samples + 1) + 1e-5 for odds in told)


def with_look_of() -> CloseLook:
    g = torch.Generator().manual_seed(1)
    return CloseLook(
        Region((600.0, 450.0), 500.0),
        torch.rand(33, 3, generator=g) - 0.5,
        torch.randn(33, 3, generator=g),
        torch.rand(1152, generator=g),
        torch.randn(33, 288, generator=g).half(),
        torch.rand(4608, generator=g).half(),
    )


def test_nobody_looked_at_means_no_belief(prior, predictor, make_scene, camera):
    people = make_scene((0.0,)).evidence.people
    assert beliefs(predictor, people, [camera], prior, CONFIG) is None


@pytest.mark.parametrize(
    "change",
    [
        {"std_scale": 0.0},
        {"guess_share": 1.5},
        {"prior_weight": 2.0},
        {"samples": 1},
        {"starts": 0},
    ],
)
def test_options_out_of_range_are_refused(change):
    with pytest.raises(InputError):
        BeliefConfig(**change)
