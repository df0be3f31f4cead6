"""Fits people through frames: evidence in, one shape a person and a body for every frame out.

1. Every few frames bodies are searched for as in a photo, several explanations each.
2. The cheapest path through them settles what a single view leaves open.
3. From there some frames of a person, all together: keypoints, the network's belief and what is up
   in each, one shape for all, and what motion costs. The others are between these.
4. Feet that hardly move stand, and whoever looks like a child in several frames is one; the chain
   is fitted with all frames and that. Of whom earlier frames made an adult nothing is kept then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body.keypoints import FOOT_KEYPOINTS
from kinflow.energy.body_energy import Targets
from kinflow.energy.dynamics import StepModel
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.chain import Chain, MotionCost, solve
from kinflow.fitting.gaps import GapBridge
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.observations import FITTED_KEYPOINTS
from kinflow.fitting.paths import between, cheapest_path, evenly, sparse_rows
from kinflow.fitting.photo import PhotoFitter
from kinflow.fitting.sequence_config import SequenceConfig
from kinflow.fitting.stances import Stances
from kinflow.fitting.track_dynamics import bridged, dynamics_for, steps_about
from kinflow.fitting.track_sizes import (
    KNOWN_AGE_STD,
    as_before,
    shows_young_face,
    with_child,
)
from kinflow.fitting.track_targets import TrackWeights, TrackWindow, targets_of_tracks
from kinflow.fitting.verdict import judge, limbs_px
from kinflow.geometry.pinhole import Camera
from kinflow.optim import LMConfig
from kinflow.priors.shape import AGE
from kinflow.results import Gravity
from kinflow.threads import one_thread

_FEET = [FITTED_KEYPOINTS.index(name) for name in FOOT_KEYPOINTS]
_PATH_STD_M = 0.05
"""Points of bodies that did not move differ by so much from one search to the next."""


@dataclass(frozen=True)
class TrackFit:
    """One person through frames."""

    bodies: Unknowns
    """One row a frame, all but settled ones of one shape."""
    targets: Targets
    """What they were fitted to, one row a frame."""
    stands: Float[Tensor, "steps feet"]
    """How surely points of the feet stand from a frame to the next."""
    turned_out_a_child: bool = False
    """Whether they were fitted as an adult in earlier frames."""


class TrackFitter:
    """Fits people through frames that one camera took from one place.

    Args:
        photos: fits of single frames; its energy, search and network are those of tracks.
        config: of motion.
    """

    def __init__(self, photos: PhotoFitter, config: SequenceConfig | None = None) -> None:
        self.photos, self.config = photos, config or SequenceConfig()
        self.model = photos.fitter.model
        self._dynamics = dynamics_for(self.model.prior, self.config.dynamics)

    @property
    def bridge(self) -> GapBridge | None:
        """Ways through gaps that no window has both ends of; None without dynamics."""
        return None if self._dynamics is None else GapBridge(self._dynamics, self.model.prior)

    def fit(
        self,
        tracks: Sequence[TrackWindow],
        camera: Camera,
        lines_px: Float[Tensor, "lines 4"] | None = None,
    ) -> tuple[tuple[TrackFit, ...], Gravity]:
        """People through frames, each on their own but for what is up.

        Args:
            tracks: at least one. Where the camera turns, all of them say so by the same camera that
                stands still, which the gravity that is returned is of.
            camera: of all frames.
            lines_px: straight edges that may be upright, as the camera that stands still sees them.
        """
        with one_thread():
            gravity = self.photos.gravity
            picture = gravity.by_picture(camera, lines_px)
            level = gravity.without_people(picture)
            targets = [
                replace(one, up=track.up_in_own(gravity.target(level, track.leg_confidence())))
                for one, track in zip(self._targets(tracks, camera), tracks, strict=True)
            ]
            paths = self._paths(tracks, targets)
            stances = self._stances(tracks, targets, paths)
            common = gravity.with_people(picture, stances).gravity
            up = [gravity.target(common, track.leg_confidence()) for track in tracks]
            fits = [
                self._fit(
                    track,
                    replace(one, up=track.up_in_own(mine)),
                    self._between(track, bodies, rows),
                    camera,
                    mine.up_cam[0],
                )
                for track, one, mine, (bodies, rows) in zip(tracks, targets, up, paths, strict=True)
            ]
        return tuple(fits), common

    def _between(self, track: TrackWindow, found: Unknowns, rows: Tensor) -> Unknowns:
        """Bodies of all frames from those of some."""
        keys = track.in_still(found, rows)
        return track.in_own(between(keys, track.times_s[rows], track.times_s))

    def _targets(self, tracks: Sequence[TrackWindow], camera: Camera) -> list[Targets]:
        config = self.config
        weights = TrackWeights(
            config.keypoint_narrowing,
            config.belief_widening,
            config.size_frames,
            config.gap_prior_weight,
        )
        asked = [self._asked_rows(track) for track in tracks]
        return targets_of_tracks(self.photos, tracks, camera, weights, asked)

    def _asked_rows(self, track: TrackWindow) -> list[int]:
        """Frames that the network is asked of: neighbouring ones tell it the same."""
        searched = self._searched_rows(track)
        rows = track.looked_at
        if not rows:
            return searched
        some = sparse_rows(track.times_s[rows].tolist(), self.config.ask_gap_s, 1)
        return sorted({*searched, *(rows[i] for i in some)})

    def _paths(
        self, tracks: Sequence[TrackWindow], targets: Sequence[Targets]
    ) -> list[tuple[Unknowns, Int[Tensor, " keys"]]]:
        """Bodies of some frames of each track, and which frames these are."""
        searched = [self._searched_rows(track) for track in tracks]
        device = targets[0].focal_px.device
        found: Candidates | None = None
        if any(searched):
            rows = [one[mine] for one, mine in zip(targets, searched, strict=True) if mine]
            found = self.photos.fitter.fit(Targets.concatenate(rows))
        paths, begin = [], 0
        for track, mine in zip(tracks, searched, strict=True):
            options: dict[int, tuple[Unknowns, Tensor]] = {}
            for row, known in enumerate(track.known_rows.tolist()):
                assert track.known is not None
                options[known] = track.known[row : row + 1], torch.zeros(1, device=device)
            for i, row in enumerate(mine):
                assert found is not None
                chosen = found.of(begin + i)
                options[row] = found.unknowns[chosen], found.energy[chosen]
            begin += len(mine)
            keys = sorted(options)
            bodies = self._path([options[key] for key in keys], track, keys)
            paths.append((bodies, torch.tensor(keys, device=device)))
        return paths

    def _stances(
        self,
        tracks: Sequence[TrackWindow],
        targets: Sequence[Targets],
        paths: Sequence[tuple[Unknowns, Int[Tensor, " keys"]]],
    ) -> Stances:
        """What a few frames of everybody say of up and of the floor."""
        bodies, seen, legs, turns = [], [], [], []
        for track, one, (found, rows) in zip(tracks, targets, paths, strict=True):
            chosen = evenly(len(rows), self.config.votes)
            bodies.append(found[chosen])
            seen.append(one[rows[chosen]])
            legs.append(track.leg_confidence()[rows[chosen].cpu()])
            if track.R_still_cam is not None:
                turns.append(track.R_still_cam[rows[chosen]].cpu().double())
        energy, flesh_m = self.photos.fitter.energy, self.photos.flesh_m
        stances = Stances.of(
            energy,
            Unknowns.concatenate(bodies),
            Targets.concatenate(seen),
            flesh_m,
            torch.cat(legs),
        )
        return stances.turned(torch.cat(turns)) if turns else stances

    def _searched_rows(self, track: TrackWindow) -> list[int]:
        """Frames whose bodies are searched for: after what is known every few, and the last."""
        known = track.known_rows.tolist()
        last = known[-1] if known else -self.config.search_every
        chosen: list[int] = []
        for row in track.shown:
            if row - last >= self.config.search_every:
                chosen.append(row)
                last = row
        end = track.shown[-1] if track.shown else 0
        if end > (known[-1] if known else -1) and end not in chosen:
            chosen.append(end)
        return chosen

    def _path(
        self,
        options: Sequence[tuple[Unknowns, Float[Tensor, " _"]]],
        track: TrackWindow,
        rows: Sequence[int],
    ) -> Unknowns:
        """One of the bodies of each frame, by energy and by how far points move between them."""
        origin, times_s = self.photos.fitter.energy.origin, track.times_s[list(rows)]
        bodies = Unknowns.concatenate([bodies for bodies, _ in options])
        row_of = [row for row, (own, _) in zip(rows, options, strict=True) for _ in range(len(own))]
        still = track.in_still(bodies, torch.tensor(row_of))
        points = self.model.evaluate(still, with_jacobian=False).keypoints_cam_m
        relative = (points - (origin @ points)[:, None]).split([len(b) for b, _ in options])
        spread_m = self.config.path_speed_m_s * (times_s[1:] - times_s[:-1]) + _PATH_STD_M
        steps = [
            0.5 * ((here[:, None] - there[None]).norm(dim=-1) / spread).square().sum(-1)
            for here, there, spread in zip(relative[:-1], relative[1:], spread_m, strict=True)
        ]
        path = cheapest_path([energy for _, energy in options], steps)
        chosen = [bodies[i : i + 1] for (bodies, _), i in zip(options, path, strict=True)]
        return Unknowns.concatenate(chosen)

    def _fit(
        self,
        track: TrackWindow,
        targets: Targets,
        start: Unknowns,
        camera: Camera,
        up_still: Float[Tensor, " 3"],
    ) -> TrackFit:
        """All frames of a person together, then again with feet that stand and parts' shape."""
        s = start.s.new_zeros(start.s.shape[-1])
        std = torch.ones_like(s)
        if track.known is not None:
            s, std = track.known.s[-1], std * self.config.known_shape_std
            start = replace(start, s=s.expand_as(start.s))
            targets = as_before(self.photos.sizes, targets, s)
            if targets.shape is not None:
                std[AGE] = KNOWN_AGE_STD
        if track.settled:
            assert track.known is not None
            rows = torch.arange(track.settled, device=s.device)
            start = start.replaced(rows, track.known[: track.settled])
        chain = Chain(targets, track.times_s, s, std, track.settled, track.R_still_cam)
        far = self._is_far(track.times_s)
        bodies = self._begun(
            chain, track, start, self.config.begin_far if far else self.config.begin
        )
        stands = self._stands(track.in_still(bodies), targets, track.times_s)
        told, turned_out = chain, False
        if track.known is None:
            told, bodies = with_child(self.photos.sizes, track, chain, bodies, camera)
        elif targets.shape is None and shows_young_face(self.photos.sizes, track):
            # bodies of adults, which are farther away, have nothing to tell of a child's motion
            again = replace(chain, settled=0)
            told, bodies = with_child(self.photos.sizes, track, again, bodies, camera)
            turned_out = told is not again
            told = told if turned_out else chain
        if track.known is None or turned_out:
            told, bodies = self._with_shape_of_parts(track, told, bodies, camera)
        if self._dynamics is not None:
            bodies = bridged(self._dynamics, track, bodies, up_still)
        steps = self._steps(track, bodies, up_still)
        feet = self.config.stand_std_m_s > 0 and bool((stands > 0.5).any())
        if told is not chain or steps is not None or feet:
            effort = self.config.solve_far if far else self.config.solve
            bodies = self._solved(told, bodies, effort, stands, steps)
        return TrackFit(bodies, told.targets, stands, turned_out)

    def _is_far(self, times_s: Float[Tensor, " frames"]) -> bool:
        """Whether bodies that are searched for are far apart, and so those that begin between."""
        step_s = torch.diff(times_s)
        if not len(step_s):
            return False
        return float(step_s.median()) * self.config.search_every > self.config.far_s

    def _begun(
        self, chain: Chain, track: TrackWindow, start: Unknowns, effort: LMConfig
    ) -> Unknowns:
        """Bodies of all frames by some of them, before it is known what stands."""
        chosen = sparse_rows(chain.times_s.tolist(), self.config.begin_gap_s, chain.settled)
        if len(chosen) == len(start):
            return self._solved(chain, start, effort)
        rows = torch.tensor(chosen, device=start.z.device)
        turns = chain.R_still_cam
        some = replace(
            chain,
            targets=chain.targets[rows],
            times_s=chain.times_s[rows],
            R_still_cam=None if turns is None else turns[rows],
        )
        keys = self._solved(some, start[rows], effort)
        bodies = self._between(track, keys, rows)
        # settled frames may be of another shape, which the others have no part of
        bodies = replace(bodies, s=keys.s[-1].expand_as(bodies.s))
        return bodies.replaced(rows, keys)

    def _with_shape_of_parts(
        self, track: TrackWindow, chain: Chain, bodies: Unknowns, camera: Camera
    ) -> tuple[Chain, Unknowns]:
        """The chain and the bodies with the mean shape that body parts tell in a few frames."""
        aligner = self.photos.aligner
        rows = [r for r in track.shown if (one := track.seen[r]) is not None and one.parts]
        if aligner is None or not rows or not self.config.shape_frames:
            return chain, bodies
        shapes, nearer = [], []
        for row in (rows[i] for i in evenly(len(rows), self.config.shape_frames).tolist()):
            seen = track.seen[row]
            assert seen is not None
            body, targets = bodies[row : row + 1], chain.targets[row : row + 1]
            code = judge(limbs_px(self.model, body, camera)[0], seen, ambiguous=False)
            alone = Candidates(body, body.log_focal, body.log_focal.long(), ("motion",))
            aligned, _ = aligner.on_parts(alone, targets, seen, camera, code)
            if aligned is not None:
                shapes.append(aligned.unknowns.s)
                nearer.append(aligned.unknowns.t_cam_root_m[0, 2] / body.t_cam_root_m[0, 2])
        if not shapes:
            return chain, bodies
        s = torch.cat(shapes).mean(0)
        std = torch.full_like(s, self.config.parts_shape_std)
        if chain.targets.shape is not None:  # parts do not tell the age of a child
            s[AGE], std[AGE] = chain.shape[AGE], chain.shape_std[AGE]
        # whoever is larger is further away
        t = bodies.t_cam_root_m * torch.stack(nearer).mean()
        bodies = replace(bodies, s=s.expand_as(bodies.s), t_cam_root_m=t)
        return replace(chain, shape=s, shape_std=std), bodies

    def _steps(
        self, track: TrackWindow, bodies: Unknowns, up_still: Float[Tensor, " 3"]
    ) -> StepModel | None:
        """What the dynamics say about bodies near these."""
        if self._dynamics is None or len(bodies) < 3:
            return None
        return steps_about(self._dynamics, track, bodies, up_still, self.config.dynamics)

    def _solved(
        self,
        chain: Chain,
        start: Unknowns,
        effort: LMConfig,
        stands: Tensor | None = None,
        steps: StepModel | None = None,
    ) -> Unknowns:
        config, points = self.config, len(FITTED_KEYPOINTS)
        slides = None
        if stands is not None and config.stand_std_m_s > 0:
            slides = stands.new_zeros(len(stands), points)
            slides[:, _FEET] = stands.sqrt() / config.stand_std_m_s
        std_m_s2 = config.acceleration_std_m_s2
        if steps is not None:
            std_m_s2 *= config.dynamics.acceleration_widening
        cost = MotionCost(
            chain.times_s.new_full((points,), 1 / std_m_s2),
            config.acceleration_cutoff,
            slides,
            config.stand_cutoff,
            steps,
        )
        return solve(self.photos.fitter.energy, chain, start, cost, effort)

    def _stands(
        self, bodies: Unknowns, targets: Targets, times_s: Tensor
    ) -> Float[Tensor, "steps feet"]:
        """How surely points of the feet that were seen stand, by how slowly they move."""
        seen = targets.inverse_std_px[:, _FEET] > 0
        feet = self.model.evaluate(bodies, with_jacobian=False).keypoints_cam_m[:, _FEET]
        speed = (feet[1:] - feet[:-1]).norm(dim=-1) / (times_s[1:] - times_s[:-1])[:, None]
        return (seen[1:] & seen[:-1]) / (1 + (speed / self.config.stand_speed_m_s) ** 4)
