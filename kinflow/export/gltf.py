"""`scene.glb`: the people as skinned meshes with named joints, and the camera that saw them.

glTF's frame is x right, y up, z towards the viewer: the camera frame turned so that up by gravity
is y (half a turn about x for a level camera, also where nothing is known of gravity), then raised
until the floor, or the lowest point of all people where it is not known, is at y = 0. The camera
node is turned and raised alike, so a render through it matches the overlay.

Meshes are bound in the model's own A-pose while joint rotations refer to the T-pose. The inverse
bind matrix of joint j, [Q_j | -Q_j a_j], carries one to the other (see `kinflow.body.model`), which
makes glTF's skinning equal to the body model's.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from kinflow.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS
from kinflow.export.bodies import Bodies, vertex_normals
from kinflow.export.colors import person_color, to_linear
from kinflow.export.glb import ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER, GlbBuffer
from kinflow.export.upright import R_GLTF_CAM, R_world_cam
from kinflow.files.names import printable
from kinflow.geometry.pinhole import NEAR_M, Camera
from kinflow.results import Person, Reconstruction

JointNaming = Literal["smpl", "mixamo"]

MIXAMO_NAMES: tuple[str, ...] = (
    "Hips",
    "LeftUpLeg",
    "RightUpLeg",
    "Spine",
    "LeftLeg",
    "RightLeg",
    "Spine1",
    "LeftFoot",
    "RightFoot",
    "Spine2",
    "LeftToeBase",
    "RightToeBase",
    "Neck",
    "LeftShoulder",
    "RightShoulder",
    "Head",
    "LeftArm",
    "RightArm",
    "LeftForeArm",
    "RightForeArm",
    "LeftHand",
    "RightHand",
)
"""Mixamo's names of the 22 joints, in SMPL's order."""

_MIN_WEIGHT = 1e-5
"""Skin weights below this are dropped; the rest is normalised."""


def scene_glb(
    reconstruction: Reconstruction,
    bodies: Bodies | None = None,
    joint_names: JointNaming = "smpl",
) -> bytes:
    """Content of `scene.glb` for the people of one frame.

    Args:
        reconstruction: people, camera and gravity; without people the scene holds the camera alone.
        bodies: their meshes, where they are known already.
        joint_names: how joints are called.

    Raises:
        InputError: the reconstruction is of several frames.
    """
    frame = reconstruction.only_frame
    if bodies is None and reconstruction.people:
        bodies = Bodies.of(reconstruction.people)
    R = R_world_cam(frame.gravity)
    floor_m = float((bodies.vertices_cam_m @ R[1]).min()) if bodies else 0.0
    if frame.floor is not None:
        floor_m = frame.floor.height_m
    scene = _Scene(R, np.array([0.0, -floor_m, 0.0]), joint_names)
    scene.add_camera(frame.camera)
    if bodies:
        scene.add_bodies(bodies)
    return scene.glb(printable(reconstruction.source))


class _Scene:
    """The lists of a glTF document while they grow."""

    def __init__(self, R_world_cam: np.ndarray, raise_m: np.ndarray, names: JointNaming) -> None:
        self._R_world_cam, self._raise_m = R_world_cam, raise_m
        self._names = MIXAMO_NAMES if names == "mixamo" else JOINT_NAMES
        self._buffer = GlbBuffer()
        self._lists: dict[str, list[dict[str, Any]]] = {}
        self._roots: list[int] = []

    def glb(self, source: str) -> bytes:
        asset: dict[str, Any] = {"version": "2.0", "generator": "kinflow"}
        if source:
            asset["extras"] = {"source": source}
        scenes = [{"name": "kinflow", "nodes": self._roots}]
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
        place: dict[str, Any] = {"translation": self._raise_m.tolist()}
        # glTF's cameras have y up and look along -z
        R_world_node = self._R_world_cam @ R_GLTF_CAM
        if not np.array_equal(R_world_node, np.eye(3)):
            place["rotation"] = unit_quaternions(R_world_node[None])[0].tolist()
        self._roots.append(self._add("nodes", name="camera", camera=index, **place))

    def add_bodies(self, bodies: Bodies) -> None:
        faces = self._buffer.add(bodies.faces.astype(np.uint16).ravel(), ELEMENT_ARRAY_BUFFER)
        weights = bodies.shaped.body.skin_weights.numpy()
        skinning = {
            name: self._buffer.add(array, ARRAY_BUFFER)
            for name, array in skin_attributes(weights).items()
        }
        offsets_m = bodies.shaped.joint_offsets_m().numpy()
        for row, person in enumerate(bodies.people):
            rest_m = bodies.shaped.rest_vertices_m[row].numpy()
            normals = vertex_normals(rest_m, bodies.faces)
            mesh = self._add_mesh(person, rest_m, normals, faces, skinning)
            joints = self._add_skeleton(person, offsets_m[row])
            bind = self._buffer.add(inverse_bind_matrices(bodies, row))
            skin = self._add(
                "skins", name=_name(person), joints=joints, inverseBindMatrices=bind,
                skeleton=joints[0],
            )  # fmt: skip
            armature = self._add("nodes", name=_name(person), children=[joints[0]])
            body = self._add("nodes", name=f"{_name(person)}_body", mesh=mesh, skin=skin)
            self._roots += [armature, body]

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

    def _add_skeleton(self, person: Person, offsets_m: np.ndarray) -> list[int]:
        """The joint nodes of a person, in joint order, parents before children."""
        pose = person.pose.double().numpy().copy()
        pose[0] = self._R_world_cam @ pose[0]
        quaternions = unit_quaternions(pose)
        translations = offsets_m.astype(np.float64)
        translations[0] = self._R_world_cam @ person.t_cam_root_m.double().numpy() + self._raise_m
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


def skin_attributes(weights: np.ndarray) -> dict[str, np.ndarray]:
    """`JOINTS_n` and `WEIGHTS_n` of a weight matrix (vertices, joints), largest weights first."""
    weights = np.where(weights > _MIN_WEIGHT, weights, 0).astype(np.float64)
    sets = -(-int((weights > 0).sum(1).max()) // 4)
    joints = np.argsort(-weights, axis=1, kind="stable")[:, : 4 * sets]
    chosen = np.take_along_axis(weights, joints, 1)
    chosen = (chosen / chosen.sum(1, keepdims=True)).astype(np.float32)
    # the rounding of the small weights goes into the largest, so that they sum to one
    chosen[:, 0] = 1 - chosen[:, 1:].sum(1, dtype=np.float64)
    joints = np.where(chosen > 0, joints, 0).astype(np.uint8)
    attributes = {}
    for i in range(sets):
        attributes[f"JOINTS_{i}"] = joints[:, 4 * i : 4 * i + 4]
        attributes[f"WEIGHTS_{i}"] = chosen[:, 4 * i : 4 * i + 4]
    return attributes


def unit_quaternions(R: np.ndarray) -> np.ndarray:
    """Quaternions (n, 4), x y z w, of rotation matrices (n, 3, 3) (Bar-Itzhack 2000): the
    eigenvectors of the largest eigenvalue, which are the nearest for matrices with rounding too."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = R.reshape(-1, 9).T
    K = [
        [xx - yy - zz, xy + yx, xz + zx, zy - yz],
        [xy + yx, yy - xx - zz, yz + zy, xz - zx],
        [xz + zx, yz + zy, zz - xx - yy, yx - xy],
        [zy - yz, xz - zx, yx - xy, xx + yy + zz],
    ]
    return np.linalg.eigh(np.array(K).transpose(2, 0, 1))[1][..., -1]


def inverse_bind_matrices(bodies: Bodies, row: int) -> np.ndarray:
    """[Q_j | -Q_j a_j] of one person, (22, 4, 4): from the rest mesh to the joint's own frame."""
    Q = bodies.shaped.body.Q_rest.double().numpy()
    rest_joints_m = bodies.shaped.rest_joints_m[row].double().numpy()
    matrices = np.tile(np.eye(4), (NUM_JOINTS, 1, 1))
    matrices[:, :3, :3] = Q
    matrices[:, :3, 3] = -(Q @ rest_joints_m[..., None])[..., 0]
    return matrices.astype(np.float32)


def _name(person: Person) -> str:
    return f"person_{person.person}"
