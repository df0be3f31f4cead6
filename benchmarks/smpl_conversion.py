"""How closely do our bodies lie on one of the SMPL family, there and back, and what does it cost?

Poses of subjects that no prior was trained on are put on people drawn about the average adult (or
child). Each person is converted as `kinflow convert --to smpl` does; then the parameters are
converted back, and compared with the body that they began as.

Without a body file of your own the target is a file in SMPL's format made of our body, with other
triangles, in another order, without knowledge of ours: what is lost is lost by the conversion, by
ten shape coefficients, and by a rest pose that is skinned otherwise. A real file adds what two
different rigs disagree in, which the residual shows.

Last it says how far copied rotations are off, which is how poses of the family teach predictors:
the turns that the conversion gives on our body against those that were in the file.

    python benchmarks/smpl_conversion.py --poses poses.safetensors [--model SMPL_NEUTRAL.npz]
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor

from kinflow.body.conversion import Converter
from kinflow.body.kinematics import full_pose
from kinflow.body.model import BodyModel
from kinflow.body.registration import Registration, our_adult, register
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.body.smpl import read_smpl
from kinflow.datasets.mocap_splits import CMU_SPLITS
from kinflow.datasets.poses import PoseSet
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.shape import ShapePrior

_CHILD_FROM_S = (-3.5, -2.5)
"""Latent ages of children of about seven to eleven."""


@dataclass(frozen=True)
class Options:
    """What to measure on."""

    poses: Path
    """A pose set; its validation subjects are used."""
    model: Path | None = None
    """A file of SMPL, SMPL-H or SMPL-X; made of our own body unless given."""
    people: int = 20
    poses_each: int = 10
    betas: tuple[int, ...] = (10, 16)
    cube_m: float = 0.012
    """Of the body that is made: how coarse its mesh is."""
    seed: int = 0


def main(options: Options) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = options.model or made_body(Path(folder), options.cube_m)
        began = time.perf_counter()
        registration = register(read_smpl(path, 10).body)
        seconds = time.perf_counter() - began
        found = registration.theirs_on_ours
        laid = found.points.of(our_adult().vertices_m())
        print(
            f"registered in {seconds:.1f} s, {float(found.trusted.float().mean()):.1%} of vertices"
        )
        if options.model is None:
            truth = torch.from_numpy(_fields(options.cube_m)["v_template"]).float()
            off_mm = 1e3 * (laid - truth).norm(dim=1)
            print(
                f"vertices found within {off_mm.mean():.2f} mm on average, 95 % within "
                f"{off_mm.quantile(0.95):.2f} mm"
            )
        gap_mm = 1e3 * registration.joint_gap_m.norm(dim=1)
        print(
            f"joints of the two rigs are {gap_mm.mean():.1f} mm apart, at most {gap_mm.max():.1f}"
        )
        print("people    betas  mesh mm  worst pose  joints mm  back: joints mm  mesh mm   ms/pose")
        for who in ("adults", "children"):
            for betas in options.betas:
                _row(who, betas, path, registration, options)
        _copied(path, registration, options)


def _row(who: str, betas: int, path: Path, registration: Registration, options: Options) -> None:
    ours, theirs = BodyModel.load(), read_smpl(path, betas).body
    there = Converter.to_theirs(ours, theirs, registration)
    back = Converter.to_ours(theirs, ours, registration)
    rows = []
    seconds = 0.0
    for shape, pose in people(who, options):
        place = torch.tensor([0.0, 0.0, 3.0]).expand(len(pose), 3)
        began = time.perf_counter()
        found = there.convert(shape, pose, place)
        seconds += time.perf_counter() - began
        again = back.convert(found.shape, found.pose, found.t_root_m)
        before = ours.with_shape(shape).with_pose(pose, place)
        after = ours.with_shape(again.shape).with_pose(again.pose, again.t_root_m)
        rows.append(
            torch.stack(
                [
                    found.vertex_error_m.mean(),
                    found.vertex_error_m.max(),
                    found.joint_error_m.mean(),
                    (after.joints_m - before.joints_m).norm(dim=-1).mean(),
                    (after.vertices_m() - before.vertices_m()).norm(dim=-1).mean(),
                ]
            )
        )
    mesh, worst, joints, joints_back, mesh_back = (1e3 * torch.stack(rows).mean(0)).tolist()
    per_pose = 1e3 * seconds / (options.people * options.poses_each)
    print(
        f"{who:9s} {betas:5d} {mesh:8.2f} {worst:11.2f} {joints:10.2f} {joints_back:16.2f} "
        f"{mesh_back:8.2f} {per_pose:9.1f}"
    )


def _copied(path: Path, registration: Registration, options: Options) -> None:
    """Rotations of the file as they are on our body, against converted ones."""
    ours, theirs = BodyModel.load(), read_smpl(path, options.betas[0]).body
    back = Converter.to_ours(theirs, ours, registration)
    shape = theirs.shape_space.neutral()
    angles, bones = [], []
    for _, pose in people("adults", options):
        place = torch.zeros(len(pose), 3)
        found = back.convert(shape, pose, place)
        angles.append(matrix_to_rotvec(found.pose.mT @ pose).norm(dim=-1).rad2deg())
        body = ours.with_shape(found.shape)
        copied, truth = (body.with_pose(p, place).joints_m for p in (pose, found.pose))
        copied, truth = (p - p[:, :1] for p in (copied, truth))
        bones.append(1e3 * (copied - truth).norm(dim=-1))
    mean_deg, mean_mm = (torch.cat(x).mean(0) for x in (angles, bones))
    print(f"copied rotations: {mean_deg.mean():.1f} degrees off, joints {mean_mm.mean():.1f} mm")
    for joint in mean_deg.argsort(descending=True)[:6].tolist():
        print(
            f"  {JOINT_NAMES[joint]:15s} {mean_deg[joint]:5.1f} degrees, {mean_mm[joint]:5.1f} mm"
        )


def people(who: str, options: Options) -> list[tuple[Tensor, Tensor]]:
    """Shapes and poses."""
    poses = PoseSet.load(options.poses)
    held_out = [
        CMU_SPLITS.of(poses.clip_subjects[int(clip)]) == "validation" for clip in poses.clip
    ]
    rows = np.flatnonzero(held_out)
    rng = np.random.default_rng(options.seed)
    prior, found = ShapePrior(), []
    for _ in range(options.people):
        s = torch.from_numpy(rng.normal(size=prior.size)).float()
        if who == "children":
            s[1] = float(rng.uniform(*_CHILD_FROM_S))
        chosen = torch.from_numpy(rng.choice(rows, options.poses_each, replace=False))
        root, free = (rotvec_to_matrix(x[chosen]) for x in (poses.root_rotvec, poses.rotvec))
        found.append((prior.decode(s), full_pose(root, free)))
    return found


def made_body(folder: Path, cube_m: float) -> Path:
    """A file in SMPL's format, made of our body by what makes them for the tests."""
    np.savez(folder / "made.npz", allow_pickle=False, **_fields(cube_m))
    return folder / "made.npz"


def _fields(cube_m: float) -> dict[str, np.ndarray]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from smpl_people import person_fields  # pyright: ignore[reportMissingImports]

    return person_fields("smplh", cube_m=cube_m)


if __name__ == "__main__":
    main(tyro.cli(Options))
