"""What the motion of each person of a clip is worth, by what is exported of it; no truth is needed.

Positions are those of the one world of all exports (`kinflow.export.stage`), so that whatever moves
the camera without being noticed counts as motion of people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64

from kinflow.body.keypoints import FOOT_KEYPOINTS, KEYPOINT_INDEX, LIMB_KEYPOINTS
from kinflow.body.kinematics import forward_kinematics
from kinflow.export.heights import lowest_m
from kinflow.export.motion import Motion, batches, period_of
from kinflow.export.stage import FLOOR_QUANTILE, Stage
from kinflow.metrics.motion import jitter
from kinflow.results import Person, Reconstruction, Track

DOWN = 0.5
"""A point of a foot that stands with more than this probability is down."""
_SURE = 0.5
"""Confidence of keypoints that count, as in `Person.limb_error_px`."""
_LOWER_M, _LEVEL_S = 0.25, 1.0
"""What is lower than the floor by so much, for so long before and after, is another level."""
_FEET = [KEYPOINT_INDEX[name] for name in FOOT_KEYPOINTS]
_LIMBS = list(LIMB_KEYPOINTS)


@dataclass(frozen=True)
class TrackQuality:
    """The motion of one person."""

    person: int
    foot_sliding_cm_s: float
    """Mean speed along the floor of heels and big toes while they are down by the fit's own contact
    probabilities; NaN where they never are."""
    foot_down_share: float
    """Share of the frames in which any of these is down; NaN where nothing is known of contacts."""
    jitter_10m_s3: float
    """Mean third difference of the joints times the frame rate cubed, over ten; NaN for fewer than
    four frames."""
    below_floor_cm: float
    """How deep the lowest vertex is below the floor, on average over frames; 0 where it is not. In
    frames on a lower level than the floor it is the depth below that level."""
    below_floor_worst_cm: float
    lower_level_cm: float
    """How far below the floor the lowest level is that they keep to for some time; 0 where they
    keep to none but the floor. Not everybody is on the same level, or it is not level at all."""
    seen_share: float
    """Share of the frames from the person's first to their last in which they were seen."""
    gaps: int
    """How often they were not, in between."""
    longest_gap_s: float
    """From the last frame before to the first one after the longest of these gaps; 0 without."""
    keypoint_error_px: float
    """How far confident keypoints of limbs are off in a frame, the median over frames."""


def quality_of(
    reconstruction: Reconstruction, stage: Stage | None = None
) -> tuple[TrackQuality, ...]:
    """The quality of each track; photos, which have no motion, have none.

    Args:
        reconstruction: of a clip.
        stage: its world, where that is known already.
    """
    if len(reconstruction.frames) < 2:
        return ()
    stage = stage or Stage.of(reconstruction)
    period_s = period_of(reconstruction.frames)
    return tuple(_of_track(track, stage, period_s) for track in reconstruction.tracks)


def _of_track(track: Track, stage: Stage, period_s: float) -> TrackQuality:
    times_s = np.array([body.time_s for body in track.bodies])
    pose, root_m = (torch.from_numpy(values) for values in stage.track_pose(track))
    shaped = track.bodies[0].skeleton.with_shape(track.shape)
    feet_m = np.empty((len(pose), len(_FEET), 3))
    for some in batches(len(pose)):
        feet_m[some] = shaped.with_pose(pose[some], root_m[some]).keypoints_m()[:, _FEET].numpy()
    up = np.tile([0.0, 1.0, 0.0], (len(pose), 1))
    contact = contact_of(track.bodies)
    lowest = lowest_m(track.shape, pose, root_m, up, track.bodies[0].model)
    level_m = level_under_m(lowest, times_s)
    mean_cm, worst_cm = below_floor_cm(lowest - level_m)
    del pose, root_m, up  # as large as all bodies
    seen = np.array([body.code != "not_seen" for body in track.bodies])
    gaps_s = gaps_of(times_s, seen, period_s)
    return TrackQuality(
        person=track.identity,
        foot_sliding_cm_s=sliding_cm_s(feet_m, times_s, contact > DOWN),
        foot_down_share=_share_down(contact),
        jitter_10m_s3=jitter_of(Motion.of(track, stage, period_s)),
        below_floor_cm=mean_cm,
        below_floor_worst_cm=worst_cm,
        lower_level_cm=float(-100 * level_m.min()),
        seen_share=_seen_share(times_s, seen, period_s),
        gaps=len(gaps_s),
        longest_gap_s=max(gaps_s, default=0.0),
        keypoint_error_px=_keypoint_error_px(track),
    )


def contact_of(bodies: Sequence[Person]) -> Float64[np.ndarray, "steps 4"]:
    """How surely points of the feet stand from each body to the next; NaN where it is not known."""
    unknown = np.full(len(FOOT_KEYPOINTS), np.nan)
    rows = [
        unknown if body.foot_contact is None else body.foot_contact.double().numpy()
        for body in bodies[:-1]
    ]
    return np.array(rows).reshape(-1, len(FOOT_KEYPOINTS))


def sliding_cm_s(
    points_m: Float64[np.ndarray, "frames points 3"],
    times_s: Float64[np.ndarray, " frames"],
    down: Bool[np.ndarray, "steps points"],
) -> float:
    """Mean speed along the floor of points in the steps in which they are down; NaN without any."""
    steps_m = np.linalg.norm(np.diff(points_m[..., [0, 2]], axis=0), axis=-1)
    speed_m_s = steps_m / np.diff(times_s)[:, None]
    return float(100 * speed_m_s[down].mean()) if down.any() else float("nan")


def level_under_m(
    lowest: Float64[np.ndarray, " frames"], times_s: Float64[np.ndarray, " frames"]
) -> Float64[np.ndarray, " frames"]:
    """Height of what somebody keeps to in each frame: 0 for the floor, or that of a lower level.

    The world has one floor for everybody and all the time. Whoever is further below it than a fit
    errs, for seconds, does not sink into it: they are on the street beside a stage, down some
    stairs, or what is up is wrong. Levels are found as the floor is (`kinflow.export.stage`).

    Args:
        lowest: height of each body's lowest point, in metres.
        times_s: of the bodies.
    """
    level_m = np.zeros(len(lowest))
    for row in np.flatnonzero(lowest < -_LOWER_M):
        near = np.abs(times_s - times_s[row]) <= _LEVEL_S
        level_m[row] = np.quantile(lowest[near], FLOOR_QUANTILE)
    return np.where(level_m < -_LOWER_M, level_m, 0.0)


def below_floor_cm(lowest: Float64[np.ndarray, " frames"]) -> tuple[float, float]:
    """Mean and worst depth below the floor, by the height of each frame's lowest point, metres."""
    depth_cm = 100 * np.maximum(-lowest, 0.0)
    return float(depth_cm.mean()), float(depth_cm.max())


def jitter_of(motion: Motion) -> float:
    """Of all joints of a motion; NaN for fewer than four frames."""
    if len(motion) < 4:
        return float("nan")
    offsets_m = torch.from_numpy(motion.offsets_m)
    joints_m = torch.empty(*motion.pose.shape[:2], 3, dtype=torch.float64)
    for some in batches(len(motion)):
        pose, root_m = map(torch.from_numpy, (motion.pose[some], motion.t_world_root_m[some]))
        joints_m[some] = forward_kinematics(pose, root_m, offsets_m)[1]
    return float(jitter(joints_m, motion.rate_hz))


def gaps_of(
    times_s: Float64[np.ndarray, " bodies"], seen: Bool[np.ndarray, " bodies"], period_s: float
) -> list[float]:
    """Length of each time between two sights with a frame in between that lacks the person.

    Args:
        times_s: of the bodies.
        seen: False for bodies that were filled in.
        period_s: from frame to frame; a longer step between two bodies is a gap as well.
    """
    sights_s, rows = times_s[seen], np.flatnonzero(seen)
    between_s = np.diff(sights_s)
    missed = (np.diff(rows) > 1) | (between_s > 1.5 * period_s)
    return between_s[missed].tolist()


def _seen_share(times_s: np.ndarray, seen: np.ndarray, period_s: float) -> float:
    """Frames that lack the person and were not filled in count as well."""
    frames = max(len(times_s), 1 + round((times_s[-1] - times_s[0]) / period_s))
    return float(seen.sum() / frames)


def _share_down(contact: np.ndarray) -> float:
    known = ~np.isnan(contact).any(1)
    return float((contact[known] > DOWN).any(1).mean()) if known.any() else float("nan")


def _keypoint_error_px(track: Track) -> float:
    bodies = [body for body in track.bodies if body.code != "not_seen"]
    if not bodies:
        return float("nan")
    shaped = track.bodies[0].skeleton.with_shape(track.shape)
    points_m = torch.empty(len(bodies), len(_LIMBS), 3, dtype=torch.float32)
    for some in batches(len(bodies)):
        pose = torch.stack([body.pose for body in bodies[some]])
        root_m = torch.stack([body.t_cam_root_m for body in bodies[some]])
        points_m[some] = shaped.with_pose(pose, root_m).keypoints_m()[:, _LIMBS]
    errors_px = []
    for body, limbs_m in zip(bodies, points_m, strict=True):
        seen_px = body.keypoints_px[_LIMBS]
        off_px = (body.camera.project(limbs_m) - seen_px[:, :2]).norm(dim=-1)
        sure = seen_px[:, 2] > _SURE
        if bool(sure.any()):
            errors_px.append(float(off_px[sure].mean()))
    return float(np.median(errors_px)) if errors_px else float("nan")
