"""How frames of a person are tied to each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from kinflow.checks import nested, not_negative, positive, share, whole
from kinflow.fitting.track_dynamics import TrackDynamicsConfig
from kinflow.optim import LMConfig


@dataclass(frozen=True)
class SequenceConfig:
    """How frames are tied to each other, chosen on rendered clips of validation subjects."""

    search_every: int = 8
    """Frames from one search for bodies to the next."""
    path_speed_m_s: float = 1.5
    """Spread of the speed of points relative to the hips, by which a path is chosen."""
    keypoint_narrowing: float = 0.7
    """Factor on the spread of keypoints: motion takes up what is noise of single frames."""
    belief_widening: float = 3.0
    """Factor on the spread of what the network believes: in neighbouring frames it errs alike."""
    acceleration_std_m_s2: float = 12.0
    """Spread of accelerations of points, of frames at 30 Hz."""
    acceleration_cutoff: float = 4.0
    stand_speed_m_s: float = 0.4
    """Feet that are slower than this stand, more surely the slower they are."""
    stand_std_m_s: float = 0.05
    """Spread of the speed of feet that stand; 0 leaves contacts out."""
    stand_cutoff: float = 4.0
    size_frames: float = 4.0
    """Of sizes a track knows what so many frames would that err each on their own."""
    gap_prior_weight: float = 0.05
    """Weight of the pose prior in frames that lack the person, where motion knows better."""
    shape_frames: int = 3
    """Frames whose body parts tell the shape of a person; 0 leaves it to keypoints."""
    parts_shape_std: float = 0.3
    """Spread of the shape about what parts tell."""
    known_shape_std: float = 0.15
    """How far the shape of a person whose earlier frames are settled may still change."""
    votes: int = 8
    """Frames of a person that have a say in what is up; neighbouring ones tell the same."""
    dynamics: TrackDynamicsConfig = field(default_factory=TrackDynamicsConfig)
    begin_gap_s: float = 0.085
    """Frames that are fitted before it is known what stands are at most this far apart, where
    there are as many: every second one of 24 to 30 a second."""
    begin: LMConfig = field(
        default_factory=lambda: LMConfig(max_iterations=6, relative_tolerance=1e-2)
    )
    """Before it is known what stands and what the dynamics say."""
    solve: LMConfig = field(
        default_factory=lambda: LMConfig(max_iterations=8, relative_tolerance=1e-2)
    )

    def __post_init__(self) -> None:
        whole(self, "search_every", "votes", at_least=1, at_most=1000)
        positive(self, "path_speed_m_s", "keypoint_narrowing", "belief_widening", "size_frames")
        positive(self, "acceleration_std_m_s2", "begin_gap_s")
        positive(self, "acceleration_cutoff", "stand_speed_m_s", "stand_cutoff", "known_shape_std")
        positive(self, "parts_shape_std")
        whole(self, "shape_frames", at_most=1000)
        not_negative(self, "stand_std_m_s")
        share(self, "gap_prior_weight")
        nested(self, dynamics=TrackDynamicsConfig, begin=LMConfig, solve=LMConfig)
