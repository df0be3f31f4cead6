"""What a program may hand in by mistake, and what it may rightly hand in that is unusual.

The cases run in processes of their own: the type checks of the test session would answer first.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import kinflow

SETUP = """
import sys
from pathlib import Path

import numpy as np
import torch

import kinflow
import kinflow.priors
from kinflow.energy.part_loss import PartLossTarget, part_alignment_loss
from kinflow.body.model import BodyModel
from kinflow.geometry import Camera, ImageGrid
from kinflow.errors import InputError
from kinflow.evidence import ImageEvidence, PersonEvidence, PersonMask
from kinflow.evidence.detector import DetectorConfig
from kinflow.evidence.region import Region
from kinflow.evidence.types import CloseLook, FaceAge, PartLabels, Surroundings
from kinflow.metrics.pose import mpjpe, pa_mpjpe
from kinflow.metrics.vertices import pve

NAN = float("nan")
SIZE = (64, 48)
RGB = np.full((48, 64, 3), 128, np.uint8)
FIGURE = torch.rand(33, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([64.0, 48, 1])

reconstructor = kinflow.Reconstructor()
prior = kinflow.priors.load()
R_free = prior.sample(2, torch.Generator().manual_seed(0))
body = BodyModel.load("joints")
Config = kinflow.ReconstructorConfig


def evidence(size=SIZE, **changes):
    fields = dict(
        keypoints_px=FIGURE,
        keypoint_std_px=torch.ones(33),
        world_m=None,
        box_px=torch.tensor([0.0, 0, 64, 48]),
        score=1.0,
    )
    return ImageEvidence(size, (PersonEvidence(**{**fields, **changes}),))


def look(**changes):
    fields = dict(
        region=Region((32.0, 24.0), 50.0),
        landmarks=torch.zeros(33, 3),
        world_m=torch.zeros(33, 3),
        features=torch.zeros(1152),
        joint_features=torch.zeros(33, 288).half(),
        map_features=torch.zeros(4608).half(),
    )
    return CloseLook(**{**fields, **changes})


def fit(**changes):
    return reconstructor(RGB, evidence=evidence(**changes))


def see(camera):
    return reconstructor(RGB, evidence=evidence(), camera=camera)


def configured(**options):
    return kinflow.Reconstructor(Config(**options))


def mask(probability, origin=(0.0, 0.0), cell=1.0, size=(4, 4)):
    return fit(mask=PersonMask(probability, ImageGrid(origin, cell, size)))


def labels(allowed, confidence):
    return fit(parts=PartLabels(allowed, confidence, ImageGrid((0.0, 0.0), 1.0, (4, 4))))


failures = []
"""

REFUSED = """
refused = {
    "focal_px": [
        lambda v=v: Camera(v, (32, 24), SIZE) for v in (NAN, float("inf"), 0, -5, "900", True, None)
    ],
    "principal_px": [lambda v=v: Camera(50, v, SIZE) for v in ((NAN, 1), (1,), None, "ab")],
    "image_size": [lambda v=v: Camera(50, (1, 1), v) for v in ((0, 4), (2.5, 4), None, (4,), 7)],
    "field of view": [
        *(lambda v=v: Camera.from_fov(SIZE, v) for v in (0, 180, NAN, "55", None)),
        lambda: see(Camera(1e-3, (32, 24), SIZE)),
        lambda: see(Camera(1e9, (32, 24), SIZE)),
        lambda: configured(focal_px=1e-5)(RGB),
    ],
    "principal point": [lambda: see(Camera(50, (1e6, 24), SIZE))],
    "but the photo has": [
        lambda: see(Camera(50, (32, 24), (65, 48))),
        lambda: fit(size=(640, 480)),
        lambda: fit(size=None),
    ],
    "camera has to be": [lambda v=v: see(v) for v in (55, "50mm", (50, 32, 24))],
    "device": [lambda v=v: configured(device=v) for v in (None, "tpu", "meta", 5, "")],
    "max_people": [lambda v=v: configured(max_people=v) for v in (0, -1, 1.5, "2", True)],
    "fov_deg": [lambda v=v: configured(fov_deg=v) for v in ("55", 0, -5, 170, NAN, True)],
    "focal_px has": [lambda v=v: configured(focal_px=v) for v in ("700", 0, NAN)],
    "prior has": [lambda v=v: configured(prior=v) for v in (None, 5, prior)],
    "parts has": [lambda v=v: configured(parts=v) for v in (None, "yes", 2)],
    "detector has": [lambda v=v: configured(detector=v) for v in (None, {}, Config())],
    "config has": [lambda v=v: kinflow.Reconstructor(v) for v in ({}, "cpu", 0)],
    "image": [
        lambda v=v: reconstructor(v)
        for v in (
            None,
            b"photo.jpg",
            5,
            [],
            RGB.tolist(),
            {},
            torch.rand(48, 64, 3, requires_grad=True),
            "",
        )
    ],
    "evidence has": [
        lambda v=v: reconstructor(RGB, evidence=v) for v in (5, [], {}, evidence().people)
    ],
    "surroundings": [
        lambda v=v: fit(surroundings=v)
        for v in (5, {}, (0.1,), *(Surroundings(seat=v) for v in (NAN, 1.5, -0.1, "0.5", None)))
    ],
    "face_age": [
        lambda v=v: fit(face_age=v)
        for v in (5, (0.1, 3.0), FaceAge(NAN, 3.0), FaceAge(1.5, 3.0), FaceAge(0.5, 16.0))
    ],
    "look_in_mirror": [
        lambda v=v: fit(look=look(), look_in_mirror=v)
        for v in (5, {}, look(features=torch.full((1152,), NAN)), look(landmarks=torch.ones(3)))
    ],
    "people": [
        lambda v=v: reconstructor(RGB, evidence=ImageEvidence(SIZE, v))
        for v in (5, (None,), ({},), "ab")
    ],
    "keypoints_px": [
        lambda v=v: fit(keypoints_px=v)
        for v in (
            None,
            "x",
            FIGURE[:17],
            FIGURE[:, :2],
            torch.zeros(0, 3),
            FIGURE * NAN,
            FIGURE + 2,
            -FIGURE,
            FIGURE.bool(),
            FIGURE * 1j,
            FIGURE * torch.tensor([1e9, 1, 1]),
        )
    ],
    "keypoint_std_px": [
        lambda v=v: fit(keypoint_std_px=v)
        for v in (None, torch.ones(32), torch.zeros(33), -torch.ones(33), NAN * torch.ones(33))
    ],
    "world_m": [
        lambda v=v: fit(world_m=v)
        for v in (5, torch.zeros(17, 3), NAN * torch.ones(33, 3), 1e6 * torch.ones(33, 3))
    ],
    "look": [
        lambda: fit(look=5),
        lambda: fit(look=look(landmarks=NAN * torch.ones(33, 3))),
        lambda: fit(look=look(world_m=torch.zeros(17, 3))),
        lambda: fit(look=look(features=torch.zeros(7))),
        lambda: fit(look=look(joint_features=torch.zeros(32, 288))),
        lambda: fit(look=look(map_features=NAN * torch.ones(4608))),
        lambda: fit(look=look(region=Region((NAN, 0.0), 10.0))),
        lambda: fit(look=look(region=Region((9.0, 9.0), 0.0))),
    ],
    "box_px": [
        lambda v=v: fit(box_px=v)
        for v in (
            None,
            torch.zeros(4),
            torch.tensor([9.0, 9, 1, 1]),
            torch.tensor([0, 0, 9, NAN]),
            torch.ones(3),
        )
    ],
    "score": [lambda v=v: fit(score=v) for v in (None, NAN, "1", 2, -1, True, 10**400)],
    "mask": [
        lambda: fit(mask=5),
        lambda: mask(torch.rand(4, 4) + 1),
        lambda: mask(torch.zeros(0, 4)),
        lambda: mask(None),
        lambda: fit(mask=PersonMask(torch.rand(4, 4), (0.0, 0.0))),
    ],
    "mask.grid.size": [lambda: mask(torch.rand(4, 5)), lambda: mask(torch.rand(5, 4))],
    "mask.grid.origin_px": [lambda: mask(torch.rand(4, 4), (1e7, 0))],
    "mask.grid.cell_px": [lambda: mask(torch.rand(4, 4), cell=v) for v in (1e-5, 1e7)],
    "origin_px has": [lambda: mask(torch.rand(4, 4), (NAN, 0))],
    "cell_px has": [lambda: mask(torch.rand(4, 4), cell=0)],
    "parts.grid.size": [lambda: labels(torch.ones(3, 4).int(), torch.ones(3, 4))],
    "parts": [
        lambda: fit(parts=torch.ones(4, 4)),
        lambda: labels(torch.zeros(4, 4).int(), torch.ones(4, 4)),
        lambda: labels(torch.ones(4, 4), torch.ones(4, 4)),
        lambda: labels(torch.ones(4, 4).int(), torch.ones(3, 4)),
        lambda: labels(torch.ones(4, 4).int() << 20, torch.ones(4, 4)),
    ],
    "number of poses": [
        lambda v=v: kinflow.priors.load(name).sample(v)
        for v in (-1, 1.5, "3", True, None)
        for name in ("realnvp", "gmm")
    ],
    "R_free": [
        *(lambda v=v: prior.score(v) for v in (None, R_free[:, :5], R_free * NAN)),
        *(lambda v=v: prior.project(v) for v in (None, R_free[..., 0], R_free * NAN)),
        *(lambda v=v: prior.complete(v, ["neck"]) for v in ("pose", R_free[0, 0], R_free * NAN)),
    ],
    "sigma_rad": [
        lambda v=v: prior.project(R_free, sigma_rad=v) for v in (0, -1, NAN, "0.1", None)
    ],
    "joint": [lambda v=v: prior.complete(R_free, v) for v in (["nose"], "neck", [5])],
    "shape": [
        lambda v=v: body.with_shape(v) for v in (None, torch.zeros(5), torch.tensor(0.5), [0.5] * 6)
    ],
    "pose has": [
        lambda v=v: body.with_shape(torch.zeros(6)).with_pose(v, torch.zeros(3))
        for v in (None, torch.zeros(21, 3, 3), torch.zeros(22, 3))
    ],
    "t_root_m": [
        lambda: body.with_shape(torch.zeros(6)).with_pose(torch.zeros(22, 3, 3), torch.zeros(2))
    ],
    "truth": [lambda f=f: f(torch.zeros(22, 3), torch.zeros(21, 3)) for f in (mpjpe, pa_mpjpe)],
    "predicted": [lambda f=f: f(torch.zeros(22, 2), torch.zeros(22, 2)) for f in (mpjpe, pa_mpjpe)],
    "vertices_m": [
        lambda: pve(torch.zeros(5, 3), torch.zeros(3), torch.zeros(1, 3), torch.zeros(3))
    ],
    "grids": [lambda: PartLossTarget.of([], 5)],
}
for words, calls in refused.items():
    for i, call in enumerate(calls):
        try:
            call()
            failures.append(f"{words} {i}: accepted")
        except InputError as error:
            if words not in str(error) or "\\n" in str(error):
                failures.append(f"{words} {i}: {error}")
        except Exception as error:
            failures.append(f"{words} {i}: {type(error).__name__}: {error}")
print("\\n".join(failures))
"""

ACCEPTED = """
torch.manual_seed(0)
plain = fit().people[0]
unknown = FIGURE.clone()
unknown[:5] = torch.tensor([NAN, NAN, 0])
same = {
    "gradients": fit(keypoints_px=FIGURE.clone().requires_grad_()),
    "double": fit(keypoints_px=FIGURE.double(), keypoint_std_px=torch.ones(33).double()),
    "numpy": fit(keypoints_px=FIGURE.numpy(), box_px=np.array([0, 0, 64, 48])),
    "list": reconstructor(RGB, evidence=ImageEvidence(SIZE, list(evidence().people))),
    "tensor": reconstructor(torch.from_numpy(RGB), evidence=evidence()),
}
for name, result in same.items():
    person = result.people[0]
    if person.pose.requires_grad or not torch.equal(person.joints_cam_m, plain.joints_cam_m):
        failures.append(name)
if not fit(keypoints_px=unknown).people[0].joints_cam_m.isfinite().all():
    failures.append("unknown keypoints that are NaN")
if reconstructor(RGB, evidence=ImageEvidence(SIZE, ())).people != ():
    failures.append("nobody")
config = Config(
    max_people=np.int64(1), fov_deg=np.float32(60), device=torch.device("cpu"), parts=np.bool_(True)
)
if kinflow.Reconstructor(config)(RGB, evidence=evidence()).camera.focal_px >= plain.camera.focal_px:
    failures.append("numbers of numpy")
known = R_free.clone()
known[:, 0] = NAN
if not prior.complete(known.double().requires_grad_(), ["neck", "head"]).isfinite().all():
    failures.append("unknown joints that are NaN")
poses = torch.eye(3).double().repeat(22, 1, 1)
posed = body.with_shape(torch.full((6,), 0.5).double()).with_pose(poses, torch.zeros(3).double())
if posed.joints_m.dtype != torch.float32 or prior.project(R_free.double()).dtype != torch.float32:
    failures.append("precision")
shape = torch.full((6,), 0.5, requires_grad=True)
body.with_shape(shape).rest_joints_m.sum().backward()
if shape.grad is None:
    failures.append("gradients through the body")
print("\\n".join(failures))
"""

DOUBLE = """
import skimage.data


def people():
    photo = np.ascontiguousarray(skimage.data.astronaut()[:256, 100:356])
    return kinflow.Reconstructor()(photo).people


(single,) = people()
torch.set_default_dtype(torch.float64)
(double,) = people()
with torch.autocast("cpu"):
    (cast,) = people()
if not torch.equal(cast.pose, single.pose):
    failures.append("autocast")
for name, value in vars(single).items():
    if isinstance(value, torch.Tensor):
        other = getattr(double, name)
        if other.dtype != value.dtype or not torch.equal(other.nan_to_num(), value.nan_to_num()):
            failures.append(name)
if not torch.equal(double.vertices(), single.vertices()) or double.measures() != single.measures():
    failures.append("body")
for name in ("realnvp", "gaussian", "gmm", "vae"):
    prior = kinflow.priors.load(name)
    poses = prior.sample(2, torch.Generator().manual_seed(0))
    values = (poses, prior.score(poses).nats, prior.project(poses), prior.complete(poses, ["neck"]))
    if any(value.dtype != torch.float32 for value in values):
        failures.append(f"{name} {[value.dtype for value in values]}")
print("\\n".join(failures))
"""


PARTS = {"refused": REFUSED, "accepted": ACCEPTED, "double": DOUBLE}

EACH_IN_A_FORK = """
import os

for path in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        for descriptor, ending in ((1, ".out"), (2, ".err")):
            os.dup2(os.open(path + ending, os.O_CREAT | os.O_WRONLY, 0o600), descriptor)
        exec(compile(Path(path).read_text(), path, "exec"))
        sys.exit()
    Path(path + ".code").write_text(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
"""
"""What is imported and made is the same for all, who then know nothing of each other."""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Path:
    """A folder with what each part printed, and how it ended."""
    folder = tmp_path_factory.mktemp("parts")
    for name, code in PARTS.items():
        (folder / name).write_text(code)
    subprocess.run(
        [sys.executable, "-c", SETUP + EACH_IN_A_FORK, *(str(folder / name) for name in PARTS)],
        env={**os.environ, "PYTHONPATH": str(Path(kinflow.__file__).parent.parent)},
        timeout=240,
        check=True,
    )
    return folder


@pytest.mark.parametrize("part", PARTS)
def test_input_of_programs(part, told):
    code, out, err = ((told / f"{part}.{what}").read_text() for what in ("code", "out", "err"))
    assert (code, out.strip()) == ("0", ""), err
