"""`scene.glb`: the people as skinned meshes with named joints, and the camera that saw them.

glTF's frame is x right, y up, z towards the viewer: the camera frame turned so that up by gravity
is y (half a turn about x for a level camera, also where nothing is known of gravity), then raised
until people stand on the floor y = 0 (see `kinflow.export.stage`). The camera node is turned and
raised alike, so a render through it matches the overlay.

Of a clip each person has one mesh, in the pose of their first frame until the one animation plays
(`kinflow.export.gltf_animation`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from kinflow.body.skeleton import NUM_JOINTS, PARENTS
from kinflow.export.bodies import Bodies, vertex_normals
from kinflow.export.colors import person_color, to_linear
from kinflow.export.glb import ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER, GlbBuffer
from kinflow.export.gltf_animation import Animation
from kinflow.export.gltf_skin import inverse_bind_matrices, skin_attributes
from kinflow.export.joint_names import JointNaming, names_of
from kinflow.export.quaternions import unit_quaternions
from kinflow.export.stage import Stage
from kinflow.export.upright import R_GLTF_CAM
from kinflow.files.names import printable
from kinflow.geometry.pinhole import NEAR_M, Camera
from kinflow.results import Frame, Person, Reconstruction, Track


def scene_glb(
    reconstruction: Reconstruction,
    bodies: Bodies | None = None,
    joint_names: JointNaming = "smpl",
    stage: Stage | None = None,
) -> bytes:
    """Content of `scene.glb`.

    Args:
        reconstruction: people, camera and gravity; without people the scene holds the camera alone.
            Of a clip whose lens changes it has the lens of the first frame.
        bodies: the first body of each track, where they are known already.
        joint_names: how joints are called.
        stage: the world of a clip, where it is known already.
    """
    if bodies is None and reconstruction.tracks:
        bodies = Bodies.of([track.bodies[0] for track in reconstruction.tracks])
    if len(reconstruction.frames) == 1:
        stage = Stage.of_photo(reconstruction.only_frame, bodies)
    stage = stage or Stage.of(reconstruction)
    scene = _Scene(stage, reconstruction.frames, joint_names)
    scene.add_camera(reconstruction.frames[0].camera)
    if bodies:
        scene.add_bodies(bodies, reconstruction.tracks)
    return scene.glb(printable(reconstruction.source))


class _Scene:
    """The lists of a glTF document while they grow."""

    def __init__(self, stage: Stage, frames: Sequence[Frame], names: JointNaming) -> None:
        self._stage, self._names = stage, names_of(names)
        self._buffer = GlbBuffer()
        self._animation = Animation(self._buffer, frames, stage)
        self._lists: dict[str, list[dict[str, Any]]] = {}
        self._roots: list[int] = []

    def glb(self, source: str) -> bytes:
        asset: dict[str, Any] = {"version": "2.0", "generator": "kinflow"}
        if source:
            asset["extras"] = {"source": source}
        scenes = [{"name": "kinflow", "nodes": self._roots}]
        if animation := self._animation.document(PurePath(source).stem or "clip"):
            self._lists["animations"] = [animation]
        return self._buffer.glb({"asset": asset, "scene": 0, "scenes": scenes, **self._lists})

    def add_camera(self, camera: Camera) -> None:
        width, height = camera.image_size
        lens = {
            "yfov": 2 * math.atan(height / (2 * camera.focal_px)),
            "aspectRatio": width / height,
            "znear": NEAR_M,
        }
        intrinsics = {
            "focal_px": camera.focal_px,
            "principal_px": list(camera.principal_px),
            "image_size": [width, height],
        }
        index = self._add(
            "cameras", name="camera", type="perspective", perspective=lens, extras=intrinsics
        )
        place: dict[str, Any] = {"translation": [0.0, self._stage.camera_height_m, 0.0]}
        # glTF's cameras have y up and look along -z
        R_world_node = self._stage.R_world_cam[0] @ R_GLTF_CAM
        if not np.array_equal(R_world_node, np.eye(3)):
            place["rotation"] = unit_quaternions(R_world_node[None])[0].tolist()
        self._roots.append(self._add("nodes", name="camera", camera=index, **place))
        self._animation.add_camera(self._roots[-1])

    def add_bodies(self, bodies: Bodies, tracks: Sequence[Track]) -> None:
        faces = self._buffer.add(bodies.faces.astype(np.uint16).ravel(), ELEMENT_ARRAY_BUFFER)
        weights = bodies.shaped.body.skin_weights.numpy()
        skinning = {
            name: self._buffer.add(array, ARRAY_BUFFER)
            for name, array in skin_attributes(weights).items()
        }
        offsets_m = bodies.shaped.joint_offsets_m().numpy()
        for row, (person, track) in enumerate(zip(bodies.people, tracks, strict=True)):
            rest_m = bodies.shaped.rest_vertices_m[row].numpy()
            normals = vertex_normals(rest_m, bodies.faces)
            mesh = self._add_mesh(person, rest_m, normals, faces, skinning)
            pose, t_world_root_m = self._stage.track_pose(track)
            joints = self._add_skeleton(pose[0], t_world_root_m[0], offsets_m[row])
            bind = self._buffer.add(inverse_bind_matrices(bodies, row))
            skin = self._add(
                "skins", name=_name(person), joints=joints, inverseBindMatrices=bind,
                skeleton=joints[0],
            )  # fmt: skip
            armature = self._add("nodes", name=_name(person), children=[joints[0]])
            body = self._add("nodes", name=f"{_name(person)}_body", mesh=mesh, skin=skin)
            self._roots += [armature, body]
            self._animation.add_person(track, joints, armature, pose, t_world_root_m)

    def _add_mesh(
        self,
        person: Person,
        rest_m: np.ndarray,
        normals: np.ndarray,
        faces: int,
        skinning: dict[str, int],
    ) -> int:
        material = self._add(
            "materials",
            name=_name(person),
            pbrMetallicRoughness={
                "baseColorFactor": [*to_linear(person_color(person.person)), 1.0],
                "metallicFactor": 0.0,
                "roughnessFactor": 0.65,
            },
        )
        attributes = {
            "POSITION": self._buffer.add(rest_m, ARRAY_BUFFER, bounds=True),
            "NORMAL": self._buffer.add(normals, ARRAY_BUFFER),
            **skinning,
        }
        primitive = {"attributes": attributes, "indices": faces, "material": material}
        return self._add("meshes", name=f"{_name(person)}_body", primitives=[primitive])

    def _add_skeleton(
        self, pose: np.ndarray, t_world_root_m: np.ndarray, offsets_m: np.ndarray
    ) -> list[int]:
        """The joint nodes of a person, in joint order, parents before children."""
        quaternions = unit_quaternions(pose)
        translations = offsets_m.astype(np.float64)
        translations[0] = t_world_root_m
        nodes = [
            self._add(
                "nodes",
                name=name,
                rotation=quaternion.tolist(),
                translation=translation.tolist(),
            )
            for name, quaternion, translation in zip(
                self._names, quaternions, translations, strict=True
            )
        ]
        for joint in range(1, NUM_JOINTS):
            parent = self._lists["nodes"][nodes[PARENTS[joint]]]
            parent.setdefault("children", []).append(nodes[joint])
        return nodes

    def _add(self, kind: str, **entry: Any) -> int:
        entries = self._lists.setdefault(kind, [])
        entries.append(entry)
        return len(entries) - 1


def _name(person: Person) -> str:
    return f"person_{person.person}"
