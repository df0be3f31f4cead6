"""The animation of `scene.glb`: how joints, people and the camera move through a clip.

Key frames are those of the source at their own times, so frames that come irregularly need nothing
special, and a person who is out of view for a while is taken by the player from the pose before to
the pose after, each joint at constant speed. Before their first frame and after their last, people
are shrunk to nothing, which is how glTF hides a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from kinflow.export.glb import GlbBuffer
from kinflow.export.quaternions import along_time
from kinflow.export.stage import Stage
from kinflow.export.upright import R_GLTF_CAM
from kinflow.results import Frame, Track

_STILL = 1e-7
"""What changes by less is not animated."""


class Animation:
    """The channels of one animation while they grow; players play one animation at a time, so
    there is one for everybody.

    Args:
        buffer: where key frames are stored.
        frames: of the clip, at least one.
        stage: its world.
    """

    def __init__(self, buffer: GlbBuffer, frames: Sequence[Frame], stage: Stage) -> None:
        self._buffer, self._stage = buffer, stage
        self._times_s = np.array([frame.time_s for frame in frames])
        self._inputs: dict[bytes, int] = {}
        self._samplers: list[dict[str, Any]] = []
        self._channels: list[dict[str, Any]] = []

    def document(self, name: str) -> dict[str, Any] | None:
        """The animation as glTF has it; None where nothing moves."""
        if not self._channels:
            return None
        return {"name": name, "samplers": self._samplers, "channels": self._channels}

    def add_camera(self, node: int) -> None:
        """Let the camera be held as it was in each frame."""
        self._add(node, "rotation", self._times_s, along_time(self._stage.R_world_cam @ R_GLTF_CAM))

    def add_person(
        self,
        track: Track,
        joints: Sequence[int],
        armature: int,
        pose: Float64[np.ndarray, "bodies 22 3 3"],
        t_world_root_m: Float64[np.ndarray, "bodies 3"],
    ) -> None:
        """Let a person move.

        Args:
            track: the person.
            joints: nodes of the joints.
            armature: the node above them.
            pose: of all bodies of the track, in the world (`Stage.track_pose`).
            t_world_root_m: position of the pelvis.
        """
        times_s = np.array([body.time_s for body in track.bodies])
        self._add(joints[0], "translation", times_s, t_world_root_m)
        quaternions = along_time(pose)
        for joint, node in enumerate(joints):
            self._add(node, "rotation", times_s, quaternions[:, joint])
        self._add_presence(armature, times_s[0], times_s[-1])

    def _add_presence(self, armature: int, first_s: float, last_s: float) -> None:
        after = self._times_s[self._times_s > last_s]
        there = {float(self._times_s[0]): first_s <= self._times_s[0], float(first_s): True}
        if len(after):
            there[float(after[0])] = False
        scale = np.array([[float(shown)] * 3 for shown in there.values()])
        self._add(armature, "scale", np.array(list(there)), scale, "STEP")

    def _add(
        self, node: int, path: str, times_s: np.ndarray, values: np.ndarray, how: str = "LINEAR"
    ) -> None:
        if np.abs(values - values[0]).max() < _STILL:
            return
        sampler = {
            "input": self._input(times_s),
            "output": self._buffer.add(values.astype(np.float32)),
            "interpolation": how,
        }
        target = {"node": node, "path": path}
        self._channels.append({"sampler": len(self._samplers), "target": target})
        self._samplers.append(sampler)

    def _input(self, times_s: np.ndarray) -> int:
        """The accessor of key times, which start at the first frame; equal ones are stored once."""
        times = (times_s - self._times_s[0]).astype(np.float32)
        key = times.tobytes()
        if key not in self._inputs:
            self._inputs[key] = self._buffer.add(times, bounds=True)
        return self._inputs[key]
