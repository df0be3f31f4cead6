"""What can be measured on somebody else's skeleton: bones at zero angles, and how limbs bend."""

import numpy as np
from jaxtyping import Float

from kinflow.datasets.bvh import BvhClip, forward_kinematics, pruned
from kinflow.datasets.skeleton_presets import JointMap
from kinflow.errors import InputError

SIDES = (("left", 1.0), ("right", -1.0))
"""The sides of a body, and which way each lies along x, which points to the left."""

_MIN_BEND_SINE = 0.25
_MIN_CONCENTRATION = 0.9


class Bones:
    """The skeleton at zero angles: where its joints are and where its bones point."""

    def __init__(self, clip: BvhClip, joints: JointMap) -> None:
        position = clip.offsets.copy()
        for joint, parent in enumerate(clip.parents):
            if parent >= 0:
                position[joint] += position[parent]
        self._clip, self._position, self.joints = clip, position, joints

    def at(self, name: str) -> np.ndarray:
        return self._position[self.joints.source[name]]

    def to(self, upper: str, lower: str) -> np.ndarray:
        """Vector from one joint to another; to the End Site where the other is missing."""
        if lower in self.joints.own:
            return self.at(lower) - self.at(upper)
        return self._clip.end_offsets[self.joints.source[upper]]

    def leg_length(self) -> float:
        """Mean length of thigh and shin, file units."""
        lengths = [
            np.linalg.norm(self.to(f"{side}_hip", f"{side}_knee"))
            + np.linalg.norm(self.to(f"{side}_knee", f"{side}_ankle"))
            for side, _ in SIDES
        ]
        return float(np.mean(lengths))

    def limb(self, side: str, upper: str, lower: str) -> np.ndarray:
        """Unit vector along a bone of a limb."""
        vector = self.to(f"{side}_{upper}", f"{side}_{lower}")
        length = np.linalg.norm(vector)
        if not length > 1e-6 * self.leg_length():
            name = self._clip.joint_names[self.joints.source[f"{side}_{upper}"]]
            raise InputError(f"its bone at joint {name!r} ({side}_{upper}) has no length")
        return vector / length


class SourcePoses:
    """Global rotations and positions of the source joints in some frames."""

    def __init__(self, clip: BvhClip, joints: JointMap) -> None:
        small, new = pruned(clip, joints.source.values())
        self._G, self._positions = forward_kinematics(small)
        self._column = {name: new[joint] for name, joint in joints.source.items()}

    def G(self, name: str) -> Float[np.ndarray, "frames 3 3"]:
        return self._G[:, self._column[name]]

    def position(self, name: str) -> Float[np.ndarray, "frames 3"]:
        return self._positions[:, self._column[name]]

    def mean_in(self, name: str, vectors: Float[np.ndarray, "frames 3"]) -> np.ndarray:
        """Mean of world vectors as seen from a joint."""
        return np.einsum("fji,fj->i", self.G(name), vectors) / len(vectors)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def smallest_turn(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """The smallest rotation that turns unit vector a onto unit vector b."""
    v, c = np.cross(a, b), float(a @ b)
    if c < -0.999999:
        axis = unit(np.cross(a, np.eye(3)[0 if abs(a[0]) < 0.9 else 1]))
        return 2.0 * np.outer(axis, axis) - np.eye(3)
    K = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + K + K @ K / (1.0 + c)


def hinge(
    bones: Bones, poses: SourcePoses, side: str, upper: tuple[str, str], lower: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Axis about which a limb's middle joint bends, in the frames of both its bones.

    None if the limb hardly bends, or bends about ever different axes.
    """
    if not bones.to(*(f"{side}_{name}" for name in lower)).any():
        return None
    thick, thin = bones.limb(side, *upper), bones.limb(side, *lower)
    R = np.swapaxes(poses.G(f"{side}_{upper[0]}"), -1, -2) @ poses.G(f"{side}_{lower[0]}")
    normals = np.cross(thick, R @ thin)
    sines = np.linalg.norm(normals, axis=-1)
    bent = sines > _MIN_BEND_SINE
    in_upper = normals[bent].sum(0)
    if not np.linalg.norm(in_upper) > _MIN_CONCENTRATION * sines[bent].sum():
        return None
    in_lower = np.einsum("fji,fj->i", R[bent], normals[bent])
    return unit(in_upper), unit(in_lower)
