"""People of photos by a predictor alone: no search, no parts, a few milliseconds a person.

The body is the network's best guess, moved a little so that it lies on the keypoints
(`placing.py`). Samples of the network are moved likewise, and by what they differ from it joints,
place and height may be elsewhere. Nobody looks for other bodies that explain the picture, so there
are no hypotheses and no energies, and a body is only as close to its keypoints as the network had
it: codes are of what came out (`verdict.py`), with a doubt of their own (`doubt.py`).

Who was not looked at by kinflow's own detector is nobody that the network knows, and is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.energy.body_energy import Targets
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.fitting.describing import doubted, second_thoughts
from kinflow.fitting.doubt import MAX_DOUBT_OF_NETWORK, doubt_of_network
from kinflow.fitting.observations import FITTED_KEYPOINTS, observe
from kinflow.fitting.over_time import Along, over_time, steadied
from kinflow.fitting.paths import evenly
from kinflow.fitting.people import People
from kinflow.fitting.photo import PhotoFit, PhotoFitter, leg_confidence
from kinflow.fitting.placing import placed
from kinflow.fitting.predicted import Bodies, Predicted, Spread, Told
from kinflow.fitting.stances import Stances
from kinflow.fitting.straight_guesses import unbending_of, unbent_together
from kinflow.fitting.straight_limbs import Unbending
from kinflow.fitting.verdict import LIMB_ROWS, judge, limb_error
from kinflow.geometry.pinhole import Camera
from kinflow.predictors import Looks, Posterior
from kinflow.predictors.coordinates import LOG_WIDTH
from kinflow.predictors.sequence_predictor import SequencePredictor
from kinflow.results import Person
from kinflow.tensors import on_device
from kinflow.threads import one_thread

SOURCE = "network"
"""`Person.start_source` of these bodies."""
_STREAM = 0
_VOTES = 8
"""Bodies of a shot that say what is up; all of its frames say much the same."""
_DEPTH_SHARE = 0.15
"""Of the spread of depths among samples, by how much keypoints may move a body: what they make of a
size that is hardly known is no better than the network's word."""
_LEAST_LOG_DEPTH_STD = 0.05
_LOG_DEPTH_STD = 0.03
"""Over time, where the way to keypoints is averaged besides: they settle what is aside."""
_LEAST_UP_VARIANCE, _LEAST_POINT_VARIANCE_M2 = 1e-3, 1e-4


class NetworkAlone:
    """Bodies of photos by a predictor alone.

    Args:
        photos: the fits that stand in for it; they have a predictor and are of the bundled body.
        samples: bodies that are drawn for each person.
        sequence: what makes motion of frames that follow each other.
        causal: whether frames know nothing of later ones then.
    """

    def __init__(
        self,
        photos: PhotoFitter,
        samples: int = 32,
        sequence: SequencePredictor | None = None,
        causal: bool = False,
    ) -> None:
        assert photos.predictor is not None, "it is this network that is asked"
        self.predictor, self._photos = photos.predictor.quick(), photos
        points = tuple(KEYPOINT_INDEX[name] for name in FITTED_KEYPOINTS)
        fits = photos.fitter.model
        self.model = KeypointModel(
            fits.body, fits.prior, fits.shape_prior, points, True, fits.attitude
        )
        self._samples, self.causal = samples, causal
        device = photos.flesh_m.device
        self.sequence = None if sequence is None else on_device(sequence, device)

    def fit(self, evidence: ImageEvidence, camera: Camera, lens_known: bool = True) -> PhotoFit:
        """The people of a photo, in the order of the evidence, and what is up there.

        Args:
            evidence, camera, lens_known: as `PhotoFitter.fit` has them.
        """
        (photo,) = self.fit_photos([evidence], [camera], lens_known)
        return photo

    def fit_photos(
        self,
        photos: Sequence[ImageEvidence],
        cameras: Sequence[Camera],
        lens_known: bool = True,
    ) -> tuple[PhotoFit, ...]:
        """Several photos in one batch, each with the camera it was taken with.

        Args:
            photos, cameras, lens_known: as `PhotoFitter.fit_photos` has them.
        """
        with one_thread():
            looked_at = [_looked_at(photo, True) for photo in photos]
            told = self.told(looked_at, cameras)
            if not lens_known:
                found_out = self._by_floor(photos, cameras, told)
                if found_out != list(cameras):
                    cameras, told = found_out, self.told(looked_at, found_out)
            fits = [
                self._on_ground(camera, photo.lines_px, told, rows)
                for photo, camera, rows in zip(photos, cameras, told.rows, strict=True)
            ]
        return tuple(
            self._with_others(photo, camera, fit)
            for photo, camera, fit in zip(photos, cameras, fits, strict=True)
        )

    def fit_frames(
        self,
        frames: Sequence[ImageEvidence],
        camera: Camera,
        turns: Sequence[Float[Tensor, "3 3"] | None],
        when: Sequence[tuple[float, tuple[int, ...]]] | None = None,
        wanted: range | None = None,
    ) -> list[PhotoFit]:
        """Frames of a shot in one batch: what is up is the same in all of them.

        Args:
            frames: what was seen.
            camera: of all.
            turns: from each frame's camera to one of the same place that stands still, None for
                frames of one that does.
            when: time in seconds of each frame, and who its people are; without it, or without a
                network that makes motion of them, every frame is by itself.
            wanted: rows of the frames that are returned, all if not given; the others only tell
                what these show.
        """
        R_still_cam = [_turn(R) for R in turns]
        along = None if when is None else _along(frames, when, R_still_cam)
        rows = range(len(frames)) if wanted is None else wanted
        looked_at = [_looked_at(frame, True) for frame in frames]
        frames, R_still_cam = frames[rows.start : rows.stop], R_still_cam[rows.start : rows.stop]
        with one_thread():
            told = self.told(looked_at, [camera] * len(looked_at), along, rows)
            fits = [PhotoFit((), camera, None)] * len(frames)
            if told.people:
                fits = self._upright_alike(frames, camera, told, R_still_cam)
        return [
            self._with_others(frame, camera, fit) for frame, fit in zip(frames, fits, strict=True)
        ]

    def _upright_alike(
        self,
        frames: Sequence[ImageEvidence],
        camera: Camera,
        told: Told,
        turns: Sequence[Float[Tensor, "3 3"]],
    ) -> list[PhotoFit]:
        """Frames, in some of which is somebody, with what some bodies and the lines of the first of
        these say of up."""
        of_body = [frame for frame, rows in enumerate(told.rows) for _ in rows]
        first = of_body[0]
        to_first = [turns[first].mT @ R for R in turns]
        votes = evenly(len(of_body), _VOTES).tolist()
        turned = torch.stack([to_first[of_body[row]] for row in votes]).double()
        stances = told.stances[votes].turned(turned)
        estimator = self._photos.gravity
        picture = estimator.by_picture(camera, frames[first].lines_px)
        gravity = estimator.with_people(picture, stances).gravity
        return [
            PhotoFit(told.of(rows), camera, gravity.turned(R.mT) if len(rows) else None)
            for rows, R in zip(told.rows, to_first, strict=True)
        ]

    @torch.no_grad()
    def predicted(
        self,
        people: Sequence[PersonEvidence],
        cameras: Sequence[Camera],
        along: Along | None = None,
        wanted: slice = slice(None),
    ) -> Predicted:
        """Bodies of people with looks, at least one, each seen with its camera.

        Args:
            people: what was seen.
            cameras: of each.
            along: who they are, where they are of frames that follow each other.
            wanted: those whose bodies are returned; the others only tell what these are.
        """
        looks = Looks.of([p.look for p in people if p.look], cameras)
        targets = self._targets(people, cameras)
        if self.sequence is None or along is None:
            posterior = self.predictor(looks)[wanted]
            unbending = self._unbending(posterior, people[wanted])
            return self._about(posterior, posterior.point(), targets[wanted], unbending)
        along = along.to(targets.focal_px.device)
        motion = over_time(self.sequence, self.predictor, looks, along, self.causal)
        spread = targets.focal_px.new_full((len(people),), _LOG_DEPTH_STD)
        unbending = self._unbending(motion, people, along)
        body = motion.point()
        # the frame network knows better in which direction somebody is, the other one how far away
        aside = self.predictor(looks).point().t_cam_root_m
        far = body.t_cam_root_m.norm(dim=1, keepdim=True)
        begun = replace(body, t_cam_root_m=far * torch.nn.functional.normalize(aside, dim=1))
        if unbending is not None:
            begun = replace(begun, z=unbending.latents(self.model.prior))
        t = self._placed(begun, targets, spread).unknowns.t_cam_root_m
        t = steadied(t, body.t_cam_root_m, along)
        mine = None if unbending is None else unbending[wanted]
        found = self._about(motion[wanted], body[wanted], targets[wanted], mine)
        by_m = t[wanted] - found.body.unknowns.t_cam_root_m
        return found.moved(by_m)

    def _unbending(
        self, posterior: Posterior, people: Sequence[PersonEvidence], along: Along | None = None
    ) -> Unbending | None:
        """By how much less limbs are bent than the network has them; None where that is off."""
        if not self._photos.config.belief.straight_limbs:
            return None
        return unbending_of(posterior, people, self.model.prior, along)

    def _about(
        self, posterior: Posterior, point: Unknowns, targets: Targets, unbending: Unbending | None
    ) -> Predicted:
        """The best guesses and samples about them, with limbs that are bent less, on keypoints."""
        count, people = self._samples, len(point)
        generator = torch.Generator().manual_seed(_STREAM)
        vectors = posterior.sample_vectors(count, generator)
        rows = torch.arange(people, device=vectors.device).repeat_interleave(count)
        samples = posterior.frame[rows].to_unknowns(
            vectors.flatten(0, 1), posterior.guess.R_view_base[rows]
        )
        if unbending is not None:
            point, samples = unbent_together(point, samples, unbending, self.model.prior)
        spread = _DEPTH_SHARE * vectors[..., LOG_WIDTH].std(1).clamp_min(_LEAST_LOG_DEPTH_STD)
        # the best guesses, then the samples
        each = torch.cat([torch.arange(people, device=rows.device), rows])
        everything = Unknowns.concatenate([point, samples])
        placed_at = self._placed(everything, targets[each], spread[each])
        return Predicted(placed_at[:people], placed_at[people:], count)

    def _targets(self, people: Sequence[PersonEvidence], cameras: Sequence[Camera]) -> Targets:
        config = replace(self._photos.config.observations, use_hint=False)
        return observe(people, cameras, self._photos.fitter.model.points_at_rest_m, config)

    def _placed(
        self, bodies: Unknowns, targets: Targets, log_depth_std: Float[Tensor, " bodies"]
    ) -> Bodies:
        at_origin = replace(bodies, t_cam_root_m=torch.zeros_like(bodies.t_cam_root_m))
        state = self.model.evaluate(at_origin, with_jacobian=False)
        assert state.up_cam is not None
        points_m = state.keypoints_cam_m[:, : len(FITTED_KEYPOINTS)]
        t = placed(points_m, targets, bodies.t_cam_root_m, log_depth_std)
        moved = state.keypoints_cam_m + t[:, None]
        return Bodies(
            replace(bodies, t_cam_root_m=t),
            moved[:, : len(FITTED_KEYPOINTS)],
            moved[:, len(FITTED_KEYPOINTS) :],
            state.up_cam,
        )

    def told(
        self,
        photos: Sequence[ImageEvidence],
        cameras: Sequence[Camera],
        along: Along | None = None,
        wanted: range | None = None,
    ) -> Told:
        """Everybody in photos whose people all have looks.

        Args:
            photos: what was seen.
            cameras: of each.
            along: who the people are, where photos are frames that follow each other.
            wanted: rows of the photos whose people are told of, all if not given.
        """
        everybody = People.of(photos, cameras)
        some = slice(0, len(photos)) if wanted is None else slice(wanted.start, wanted.stop)
        people = People.of(photos[some], cameras[some])
        if not people.seen:
            return Told(people.rows, [], None, None)
        device = self._photos.flesh_m.device
        first = everybody.rows[some.start].start
        mine = slice(first, first + len(people.seen))
        seen = [person.to(device) for person in people.seen]
        context = [person.to(device) for person in everybody.seen]
        predicted = self.predicted(context, everybody.cameras, along, mine)
        return Told(
            people.rows,
            self._described(predicted, seen, people.cameras),
            self._stances(predicted, seen),
            predicted.body.points_m,
        )

    def _on_ground(
        self, camera: Camera, lines_px: Float[Tensor, "lines 4"] | None, told: Told, rows: range
    ) -> PhotoFit:
        """The people of a photo, with what is up and the floor that they are on."""
        if not len(rows):
            return PhotoFit((), camera, None)
        mine = slice(rows.start, rows.stop)
        gravity = self._photos.gravity
        picture = gravity.by_picture(camera, lines_px)
        ground = gravity.with_people(picture, told.stances[mine])
        floor = gravity.floor_under(ground, told.points_m[mine])
        above_m = gravity.above_floor_m(ground, floor, told.points_m[mine])
        people = doubted(told.of(rows), ground.gravity, above_m)
        return PhotoFit(people, camera, ground.gravity, floor)

    def _by_floor(
        self, photos: Sequence[ImageEvidence], cameras: Sequence[Camera], told: Told
    ) -> list[Camera]:
        """Cameras of photos, with the focal lengths that the floors of their people tell."""
        found = list(cameras)
        if not told.people or not self._photos.finds_lenses:
            return found
        floors = self._photos.floor_focal
        for i, (photo, camera, rows) in enumerate(zip(photos, cameras, told.rows, strict=True)):
            mine = told.stances[rows.start : rows.stop]
            unknown = torch.full((len(rows),), torch.nan)
            found[i] = floors.camera(camera, camera, photo.lines_px, mine, unknown)
        return found

    def _with_others(self, photo: ImageEvidence, camera: Camera, known: PhotoFit) -> PhotoFit:
        """The people of a photo in its order, those without a look fitted."""
        others = _looked_at(photo, False)
        return _joined(photo, known, self._photos.fit(others, camera)) if others.people else known

    def _stances(self, predicted: Predicted, seen: Sequence[PersonEvidence]) -> Stances:
        """What bodies say of up and of the floor, and how far samples say otherwise."""
        body, samples = predicted.body, predicted.samples
        eye = torch.eye(3, dtype=torch.float64)
        up_cov = predicted.covariance(body.up_cam, samples.up_cam)
        point_cov = predicted.covariance(body.points_m, samples.points_m)
        return Stances(
            up_cam=body.up_cam.cpu().double(),
            up_cov=up_cov.cpu().double() + _LEAST_UP_VARIANCE * eye,
            points_cam_m=body.points_m.cpu().double(),
            point_cov_m2=point_cov.cpu().double() + _LEAST_POINT_VARIANCE_M2 * eye,
            flesh_m=self._photos.flesh_m.cpu().double(),
            legs=leg_confidence(seen).double(),
        )

    @torch.no_grad()
    def _described(
        self,
        predicted: Predicted,
        seen: Sequence[PersonEvidence],
        cameras: Sequence[Camera],
    ) -> list[Person]:
        """Results on the CPU, in the order of people."""
        body, keypoints_px = predicted.body, torch.stack([p.keypoints_px.cpu() for p in seen])
        spread = Spread.of(predicted, self.model, keypoints_px)
        unknowns = Unknowns(**{name: value.cpu() for name, value in vars(body.unknowns).items()})
        pose = self.model.pose(body.unknowns).cpu()
        shape = self.model.shape_prior.decode(body.unknowns.s).cpu()
        joints_m, points_m = body.joints_m.cpu(), body.points_m.cpu()
        people = []
        for i, (one, camera) in enumerate(zip(seen, cameras, strict=True)):
            limbs = camera.project(points_m[i, LIMB_ROWS])
            person = Person(
                person=i,
                camera=camera,
                R_cam_root=unknowns.R_cam_root[i],
                t_cam_root_m=unknowns.t_cam_root_m[i],
                pose=pose[i],
                z=unknowns.z[i],
                shape=shape[i],
                joints_cam_m=joints_m[i],
                joint_std_m=spread.joint_std_m[i],
                t_cam_root_std_m=spread.root_std_m[i],
                height_std_m=float(spread.height_std_m[i]),
                shape_std=spread.shape_std[i],
                keypoints_px=keypoints_px[i],
                score=one.score,
                code=judge(limbs, one, ambiguous=False),
                start_source=SOURCE,
            )
            doubted = doubt_of_network(person, limb_error(limbs, one))
            people.append(second_thoughts(person, doubted, MAX_DOUBT_OF_NETWORK))
        return people


def _along(
    frames: Sequence[ImageEvidence],
    when: Sequence[tuple[float, tuple[int, ...]]],
    R_still_cam: Sequence[Float[Tensor, "3 3"]],
) -> Along | None:
    """Who the people of frames are that have looks; None where there is nobody."""
    rows = [
        (identity, time_s, R)
        for frame, (time_s, identities), R in zip(frames, when, R_still_cam, strict=True)
        for person, identity in zip(frame.people, identities, strict=True)
        if person.look is not None
    ]
    if not rows:
        return None
    identities, times_s, turns = zip(*rows, strict=True)
    begin = times_s[0]
    times = torch.tensor([time_s - begin for time_s in times_s], dtype=torch.float32)
    return Along(tuple(identities), times, torch.stack(list(turns)))


def _turn(R: Float[Tensor, "3 3"] | None) -> Float[Tensor, "3 3"]:
    return torch.eye(3) if R is None else R.float()


def _looked_at(photo: ImageEvidence, wanted: bool) -> ImageEvidence:
    """The photo with the people of whom there is a look, or with the others."""
    people = tuple(p for p in photo.people if (p.look is not None) == wanted)
    return replace(photo, people=people)


def _joined(photo: ImageEvidence, known: PhotoFit, others: PhotoFit) -> PhotoFit:
    """The people of both in the order of the photo; what is up is by those who are known."""
    rest = {True: iter(known.people), False: iter(others.people)}
    people = tuple(
        replace(next(rest[seen.look is not None]), person=i) for i, seen in enumerate(photo.people)
    )
    ground = known if known.people else others
    return replace(ground, people=people)
