"""Fits the people of a clip, window by window: frames in, settled frames out.

    fitter = ClipFitter(photos, camera)
    for frame in frames:
        done += fitter.add(frame)
    done += fitter.finish()

A window's last frames have nothing after them to tell what they show, so they stay open and are
fitted again with the next window; the frames before them are settled, and the next window begins
with their motion and shape. At the end `with_one_shape` and `with_gaps_filled` make tracks of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.checks import nested, refuse, whole
from kinflow.energy.body_energy import Targets
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.files.snapshots import Resumable
from kinflow.fitting.describing import second_thoughts
from kinflow.fitting.doubt import doubt
from kinflow.fitting.gaps import GapBridge
from kinflow.fitting.paths import evenly
from kinflow.fitting.photo import PhotoFitter
from kinflow.fitting.sequence import TrackFit, TrackFitter
from kinflow.fitting.sequence_config import SequenceConfig
from kinflow.fitting.track_targets import TrackWindow, size_share
from kinflow.fitting.uncertainty import Description, std_of_frames_m
from kinflow.fitting.verdict import judge, limbs_px
from kinflow.geometry.pinhole import Camera
from kinflow.results import Gravity, Person, stored
from kinflow.threads import one_thread

_CONTEXT = 2
"""Settled frames that the next window begins with: as many as an acceleration needs."""
_FOCAL_FRAMES = 8
"""Frames of each person that tell the focal length."""


@dataclass(frozen=True)
class ClipFitConfig:
    """How a clip is cut into windows, and how these are fitted."""

    sequence: SequenceConfig = field(default_factory=SequenceConfig)
    window: int = 72
    """Frames that are fitted at a time."""
    ahead: int = 8
    """Frames at the end of a window that are fitted again with the next one."""

    def __post_init__(self) -> None:
        nested(self, sequence=SequenceConfig)
        whole(self, "window", at_least=4, at_most=100_000)
        whole(self, "ahead", at_least=1)
        if self.ahead > self.window // 2:
            refuse(f"ahead has to be at most half of the window of {self.window} frames.")


@dataclass(frozen=True)
class SeenPeople:
    """The people of one frame, and who they are."""

    time_s: float
    shot: int
    """Frames of different shots are fitted apart: the camera is another one, or elsewhere."""
    evidence: ImageEvidence
    identities: tuple[int, ...]
    """Of the evidence's people, in their order."""
    R_first_cam: Float[Tensor, "3 3"] | None = None
    """From the camera's frame to that in the first frame of the shot; None where the camera is
    taken to stand still."""


@dataclass(frozen=True)
class FittedFrame:
    """A frame that is settled."""

    people: tuple[Person, ...]
    """`Person.person` is the identity. Who was missed between frames that show them is there."""
    gravity: Gravity | None
    """What is up by the frames of the window, for this frame's camera; None without people."""


class ClipFitter(Resumable):
    """Fits the people of one clip, whose frames come in one after the other.

    Args:
        photos: fits of single frames. Where they are to estimate focal lengths, the first people
            tell that of the clip.
        camera: of all frames.
        config: windows and motion.
    """

    changing = ("camera", "late_children", "_focal_is_open", "_frames", "_settled", "_known")

    def __init__(
        self, photos: PhotoFitter, camera: Camera, config: ClipFitConfig | None = None
    ) -> None:
        self.config = config or ClipFitConfig()
        self.camera, self._photos = camera, photos
        self.late_children: set[int] = set()
        """Who turned out to be a child when frames of theirs were settled as those of an adult."""
        self._focal_is_open = photos.config.estimate_focal
        self._tracks = TrackFitter(photos, self.config.sequence)
        self._frames: list[SeenPeople] = []
        self._settled = 0
        """So many of the first of these frames were given out."""
        self._known: dict[int, dict[float, Unknowns]] = {}
        """Bodies of earlier fits, by identity and time."""

    @property
    def bridge(self) -> GapBridge | None:
        """Ways through gaps that no window has both ends of; None where nothing is known."""
        return self._tracks.bridge

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that was kept."""
        super().resume(state)
        device = self._photos.flesh_m.device
        for known in self._known.values():
            for time_s, body in known.items():
                known[time_s] = Unknowns(**{n: v.to(device) for n, v in vars(body).items()})

    def add(self, frame: SeenPeople) -> list[FittedFrame]:
        """One more frame; what is settled by it, in order, which mostly is nothing."""
        done: list[FittedFrame] = []
        if self._frames and frame.shot != self._frames[-1].shot:
            done = self.finish()
        self._frames.append(frame)
        if len(self._frames) - self._settled >= self.config.window:
            done += self._fit(self.config.ahead)
        return done

    @property
    def open_s(self) -> list[float]:
        """Times of the frames that are still open."""
        return [frame.time_s for frame in self._frames[self._settled :]]

    def finish(self) -> list[FittedFrame]:
        """All frames that are still open."""
        done = self._fit(0) if len(self._frames) > self._settled else []
        self._frames, self._settled, self._known = [], 0, {}
        return done

    def _fit(self, ahead: int) -> list[FittedFrame]:
        """Fit all frames at hand; all but the last `ahead` are settled by it."""
        frames, first, end = self._frames, self._settled, len(self._frames) - ahead
        people: list[list[Person]] = [[] for _ in frames]
        still = next((frame for frame in frames if frame.evidence.people), frames[0])
        windows = self._windows(still)
        gravity = None
        if windows:
            self._refocus([window for _, _, window in windows])
            lines = still.evidence.lines_px
            tracks = [window for _, _, window in windows]
            fits, gravity = self._tracks.fit(tracks, self.camera, lines)
            for (identity, begin, window), fit in zip(windows, fits, strict=True):
                times = [frame.time_s for frame in frames[begin : begin + len(window.seen)]]
                if fit.turned_out_a_child:
                    self.late_children.add(identity)
                self._known[identity] = {t: fit.bodies[i : i + 1] for i, t in enumerate(times)}
                rows = range(max(first - begin, 0), min(end - begin, len(times)))
                with one_thread():
                    described = self._people(identity, window, fit, rows)
                for row, person in zip(rows, described, strict=True):
                    people[begin + row].append(person)
        done = [
            FittedFrame(
                tuple(sorted(seen, key=lambda person: person.person)),
                None if gravity is None else _as_seen(gravity, still, frame),
            )
            for seen, frame in zip(people[first:end], frames[first:end], strict=True)
        ]
        kept = max(0, end - _CONTEXT)
        self._frames, self._settled = frames[kept:], end - kept
        self._forget()
        return done

    def _refocus(self, tracks: Sequence[TrackWindow]) -> None:
        """Estimate the focal length by a few frames of the first people."""
        if not self._focal_is_open:
            return
        people: list[PersonEvidence] = []
        for track in tracks:
            rows = evenly(len(track.shown), _FOCAL_FRAMES).tolist()
            seen = [track.seen[track.shown[row]] for row in rows]
            people += [one for one in seen if one is not None]
        self.camera = self._photos.refocused(self.camera, people)
        self._focal_is_open = False

    def _forget(self) -> None:
        """Bodies of frames that are gone."""
        times = {frame.time_s for frame in self._frames}
        for identity, known in list(self._known.items()):
            left = {time_s: body for time_s, body in known.items() if time_s in times}
            if left:
                self._known[identity] = left
            else:
                del self._known[identity]

    def _windows(self, still: SeenPeople) -> list[tuple[int, int, TrackWindow]]:
        """Everybody who is seen in an open frame: identity, first frame, and what is known.

        Args:
            still: the frame whose camera is the one that stands still.
        """
        seen: dict[int, dict[int, PersonEvidence]] = {}
        for row, frame in enumerate(self._frames):
            for identity, person in zip(frame.identities, frame.evidence.people, strict=True):
                seen.setdefault(identity, {})[row] = person
        windows = []
        for identity in sorted(seen):
            mine, last = seen[identity], max(seen[identity])
            if last < self._settled:
                continue
            before = self._known.get(identity, {})
            known = [row for row, f in enumerate(self._frames[: last + 1]) if f.time_s in before]
            begin = min([*known[:1], *mine])
            settled = 0
            while begin + settled < self._settled and begin + settled in known:
                settled += 1
            at = [self._frames[row].time_s for row in range(begin, last + 1)]
            window = TrackWindow(
                times_s=torch.tensor([time_s - at[0] for time_s in at], dtype=torch.float32),
                seen=tuple(mine.get(row) for row in range(begin, last + 1)),
                known=Unknowns.concatenate([before[self._frames[row].time_s] for row in known])
                if known
                else None,
                known_rows=torch.tensor([row - begin for row in known], dtype=torch.long),
                settled=settled,
                R_still_cam=_turns(still, self._frames[begin : last + 1]),
            )
            windows.append((identity, begin, window))
        return windows

    def _people(
        self, identity: int, window: TrackWindow, fit: TrackFit, rows: range
    ) -> list[Person]:
        """The results of some rows of a track."""
        if not len(rows):
            return []
        index = torch.tensor(list(rows))
        bodies = fit.bodies[index]
        targets = self._as_alone(fit.targets[index], len(window.shown))
        described = self._photos.fitter.describe(bodies, targets)
        seen = [window.seen[row] for row in rows]
        described = replace(described, joint_std_m=std_of_frames_m(described, seen))
        with torch.no_grad():
            pose = self._tracks.model.pose(bodies).cpu()
            shape = self._tracks.model.shape_prior.decode(bodies.s).cpu()
            limbs = limbs_px(self._tracks.model, bodies, self.camera)
        people = []
        for i, row in enumerate(rows):
            person = self._described(identity, bodies[i : i + 1], pose[i], shape[i], described, i)
            if row < len(fit.stands):
                person = replace(person, foot_contact=fit.stands[row].cpu())
            judged = _judged(person, limbs[i], window.seen[row])
            # views would keep all that was computed of a window
            people.append(stored(judged))
        return people

    def _as_alone(self, targets: Targets, frames: int) -> Targets:
        """Targets as if each of so many frames were a photo: what it leaves open on its own, and so
        its code, is no less than what is open with its neighbours."""
        belief, config = targets.belief, self.config.sequence
        assert belief is not None
        return replace(
            targets,
            inverse_std_px=targets.inverse_std_px * config.keypoint_narrowing,
            belief=belief.weighted(
                config.belief_widening, 1 / size_share(frames, config.size_frames)
            ),
        )

    def _described(
        self,
        identity: int,
        body: Unknowns,
        pose: Tensor,
        shape: Tensor,
        described: Description,
        row: int,
    ) -> Person:
        """A body as the user gets it, as if nobody had seen it."""
        return Person(
            person=identity,
            camera=self.camera,
            R_cam_root=body.R_cam_root[0].cpu(),
            t_cam_root_m=body.t_cam_root_m[0].cpu(),
            pose=pose,
            z=body.z[0].cpu(),
            shape=shape,
            joints_cam_m=described.joints_m[row],
            joint_std_m=described.joint_std_m[row],
            t_cam_root_std_m=described.root_std_m[row],
            height_std_m=float(described.height_std_m[row]),
            shape_std=None if described.shape is None else described.shape[row].std(),
            keypoints_px=torch.zeros(len(BLAZEPOSE33), 3),
            score=0.0,
            code="not_seen",
            energy={name: float(value[row]) for name, value in described.energy.items()},
            start_source="motion",
            users_body=self._photos.users_body,
        )


def _turns(still: SeenPeople, frames: Sequence[SeenPeople]) -> Float[Tensor, "frames 3 3"] | None:
    """From the cameras of some frames to that of one; None where the camera stands still."""
    if still.R_first_cam is None:
        return None
    turns = [frame.R_first_cam for frame in frames if frame.R_first_cam is not None]
    return (still.R_first_cam.mT @ torch.stack(turns)).float()


def _as_seen(gravity: Gravity, still: SeenPeople, frame: SeenPeople) -> Gravity:
    """What is up in a frame, by what is up in another one of the same shot."""
    if still.R_first_cam is None or frame.R_first_cam is None:
        return gravity
    return gravity.turned(frame.R_first_cam.mT @ still.R_first_cam)


def _judged(person: Person, limbs: Float[Tensor, "12 2"], seen: PersonEvidence | None) -> Person:
    """With what was seen of a person, and what is to be thought of their body then."""
    if seen is None:
        return person
    judged = replace(
        person,
        keypoints_px=seen.keypoints_px.cpu(),
        score=seen.score,
        code=judge(limbs, seen, ambiguous=False),
    )
    return second_thoughts(judged, doubt(judged))
