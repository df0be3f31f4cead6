"""Who is a child in a clip: one answer for a person, by what several frames say together.

It is asked in the first frames that show a person, and again whenever somebody who was fitted as an
adult shows a young face (`evidence/track_faces.py`) later on.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.energy.body_energy import ShapeTarget, Targets
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.beliefs import without_sizes
from kinflow.fitting.chain import Chain
from kinflow.fitting.paths import evenly
from kinflow.fitting.sizes import SizeEstimator, looks_young
from kinflow.fitting.track_targets import TrackWindow
from kinflow.geometry.pinhole import Camera
from kinflow.priors.shape import AGE

KNOWN_AGE_STD = 0.01
"""Spread of the latent of the age of a child whose earlier frames are settled: nothing that tells
ages is seen anew in later ones, and keypoints, which would have an adult, would have it again."""


def with_child(
    sizes: SizeEstimator,
    track: TrackWindow,
    chain: Chain,
    bodies: Unknowns,
    camera: Camera,
) -> tuple[Chain, Unknowns]:
    """The chain and its bodies as those of a child, if the frames together say that it is one.

    Args:
        sizes: reads signs and weighs them.
        track: what was seen.
        chain: of the track, with a belief.
        bodies: of all frames, those of an adult.
        camera: of all frames.
    """
    if not sizes.config.estimate or (sizes.vertices is None and not shows_young_face(sizes, track)):
        return chain, bodies
    rows = [track.shown[i] for i in evenly(len(track.shown), sizes.config.clip_frames).tolist()]
    # the last frame knows the faces of those before
    face_age = track.face_age
    seen = [replace(one, face_age=face_age) for row in rows if (one := track.seen[row]) is not None]
    assert chain.targets.belief is not None
    network = chain.targets.belief.child_log_odds[rows]
    signs = sizes.signs(bodies[torch.tensor(rows)], seen, [camera] * len(rows), network)
    shape = sizes.common_target(signs)
    if shape is None:
        return chain, bodies
    small = sizes.smaller(bodies, shape.centre.expand_as(bodies.s))
    mean, std = shape.centre[0], 1 / shape.inverse_std[0]
    # what keypoints say of proportions, an adult's, is wrong in all frames alike: as in one photo
    std[AGE] /= len(track.shown) ** 0.5
    return replace(chain, targets=_of_shape(chain.targets, shape), shape=mean, shape_std=std), small


def shows_young_face(sizes: SizeEstimator, track: TrackWindow) -> bool:
    """Whether faces say of a person that a child is likelier than by everything else."""
    return sizes.config.reads_faces and looks_young(track.face_age)


def as_before(sizes: SizeEstimator, targets: Targets, s: Float[Tensor, " shape"]) -> Targets:
    """Targets of frames of a person whose latent shape is known: a child's where that is one."""
    if not sizes.config.estimate:
        return targets
    shape = sizes.target_again(s[None])
    return targets if shape is None else _of_shape(targets, shape)


def _of_shape(targets: Targets, shape: ShapeTarget) -> Targets:
    """Targets with the same shape in all frames."""
    shape = shape[[0] * len(targets.focal_px)]
    assert targets.belief is not None
    return replace(targets, shape=shape, belief=without_sizes(targets.belief, shape))
