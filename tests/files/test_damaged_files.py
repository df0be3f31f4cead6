"""Every kind of file that kinflow writes, damaged in many ways: an `InputError`, or it is usable.

Weights are damaged without their checksum too, as files of older versions are, since behind a
checksum nothing else would ever be reached.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from mutations import mutated_json, mutated_npz, mutated_safetensors
from safetensors import safe_open
from safetensors.torch import save

import kinflow.priors
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.evidence.part_network import (
    COLOR_CHANNELS,
    GRID,
    NUM_CHANNELS,
    PartInput,
    PartNetwork,
    PartNetworkConfig,
    PartNetworkInfo,
    load_part_network,
    save_part_network,
)
from kinflow.export.people_files import load, npz_bytes, write_json, write_npz
from kinflow.export.people_to_fields import to_fields
from kinflow.files.tensor_files import CHECKSUM
from kinflow.geometry.pinhole import Camera
from kinflow.priors.attitude import AttitudeInfo, AttitudePrior
from kinflow.priors.dynamics import Dynamics, DynamicsInfo, LatentMotion
from kinflow.priors.dynamics.weights import DynamicsConfig, DynamicsNetwork
from kinflow.priors.families import flow_config, make_flow
from kinflow.priors.flow import FlowPrior
from kinflow.priors.gaussian import GaussianPrior
from kinflow.priors.gmm import GmmPrior
from kinflow.priors.pose_space import POSE_DIM, Whitening, rotvec_to_matrix
from kinflow.priors.vae import VaeNetworks, VaePrior
from kinflow.results import Frame, Gravity, Hypothesis, Person, Reconstruction
from kinflow.synth.files import SynthConfig, read_truth
from kinflow.synth.files import main as synthesise
from kinflow.synth.scene import SceneConfig
from kinflow.training.checkpoint import load_checkpoint, save_checkpoint

SEEDS = range(40)
KEPT = 5


def small_whitening() -> Whitening:
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(POSE_DIM, POSE_DIM, generator=generator))[0]
    return Whitening(torch.zeros(POSE_DIM), basis, torch.linspace(0.3, 0.05, POSE_DIM), KEPT)


def small_prior(family: str) -> kinflow.priors.PosePrior:
    info = kinflow.priors.PriorInfo("abc", 0.02, 1, "a test", {"nats": 1.0}, (0.0, 1.0, 2.0))
    torch.manual_seed(0)
    if family == "gaussian":
        return GaussianPrior(small_whitening(), info)
    if family == "gmm":
        parts = (torch.randn(2, KEPT), torch.eye(KEPT).repeat(2, 1, 1), torch.full((2,), 0.5).log())
        return GmmPrior(small_whitening(), *parts, info)
    if family == "vae":
        return VaePrior(VaeNetworks(KEPT, hidden=8), info)
    flow = make_flow(flow_config(family, KEPT, blocks=2, hidden=8, depth=1, dropout=0.1))
    return FlowPrior(flow, small_whitening(), info)


def people() -> Reconstruction:
    camera = Camera.from_fov((320, 240), 55.0)
    eye = torch.eye(3)
    body = dict(R_cam_root=eye, t_cam_root_m=torch.tensor([0.0, 0.0, 3.0]), z=torch.zeros(4))
    body |= dict(pose=eye.repeat(22, 1, 1), shape=torch.full((6,), 0.5))
    person = Person(
        person=0,
        camera=camera,
        joints_cam_m=torch.ones(22, 3),
        joint_std_m=torch.zeros(22),
        t_cam_root_std_m=torch.zeros(3),
        keypoints_px=torch.full((33, 3), 0.5),
        score=0.9,
        energy={"keypoints": 1.0, "shape": 2.0},
        hypotheses=(Hypothesis(**body, energy=3.0),),
        **body,
    )
    frames = Frame(0, 0.0, camera), Frame(3, 0.1, camera, Gravity((0.0, -0.8, -0.6), 3.0))
    return Reconstruction.of_frames(frames, [[person, replace(person, person=1)], [person]])


def poses() -> PoseSet:
    generator = torch.Generator().manual_seed(0)
    rotvec = 0.2 * torch.randn(12, 19, 3, generator=generator)
    clip, frame = torch.arange(12).int() // 4, torch.arange(12).int()
    return PoseSet(rotvec, torch.zeros(12, 3), clip, frame, ("a", "b", "c"), ("01", "02", "05"))


def use_people(path: Path) -> None:
    result = load(path)
    npz_bytes(to_fields(result))
    for person in result.people:
        assert person.pose.isfinite().all() and person.joints_px.isfinite().all()


def use_prior(path: Path) -> None:
    prior = kinflow.priors.load(path)
    R_free = prior.sample(8, torch.Generator().manual_seed(0))
    assert R_free.isfinite().all() and prior.log_prob(R_free).isfinite().all()
    assert prior.score(R_free).percentile.isfinite().all() if prior.info.calibration_nats else True


def write_attitude(path: Path) -> None:
    torch.manual_seed(0)
    AttitudePrior(AttitudeInfo("a test", hidden=4, metrics={"degrees": 5.0})).save(path)


def use_attitude(path: Path) -> None:
    up = AttitudePrior.load(path)(torch.eye(3).expand(2, 19, 3, 3))
    torch.testing.assert_close(up.norm(dim=-1), torch.ones(2))


def write_dynamics(path: Path) -> None:
    torch.manual_seed(0)
    config = DynamicsConfig(2, hidden=4, depth=1, couplings=1, coupling_hidden=4, course_hidden=4)
    Dynamics(DynamicsNetwork(config), DynamicsInfo("a test", metrics={"nats": 5.0})).save(path)


def use_dynamics(path: Path) -> None:
    dynamics = Dynamics.load(path)
    z = torch.zeros(2, 3, dynamics.latent_dim)
    motion = LatentMotion(z, torch.eye(3).expand(2, 3, 3, 3), torch.zeros(2, 3, 3))
    assert not dynamics.log_prob(motion, 1 / 30).isnan().any()
    assert dynamics.predict(motion, 2, 1 / 30).z.shape[-2] == 2


def use_poses(path: Path) -> None:
    loaded = PoseSet.load(path)
    assert rotvec_to_matrix(loaded.rotvec).isfinite().all()
    assert sum(len(loaded.split(name)) for name in ("train", "validation", "test")) == len(loaded)
    assert len(loaded.sha256) == 64


def use_part_network(path: Path) -> None:
    network, _ = load_part_network(path)
    half = GRID // 2
    given = PartInput(
        torch.zeros(1, NUM_CHANNELS, half, half), torch.zeros(1, COLOR_CHANNELS, GRID, GRID)
    )
    with torch.no_grad():
        assert network(given).isfinite().all()


def small_network() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters(), 0.1, fused=True)
    return network, optimizer


def one_step(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()


def write_checkpoint(path: Path) -> None:
    network, optimizer = small_network()
    one_step(network, optimizer)
    save_checkpoint(path, {"net": network, "optimizer": optimizer}, {"step": 3}, "run")


def use_checkpoint(path: Path) -> None:
    network, optimizer = small_network()
    load_checkpoint(path, {"net": network, "optimizer": optimizer}, "run")
    one_step(network, optimizer)


def write_truth(path: Path) -> None:
    config = SynthConfig(path.parent / "scenes", 1, images=False, scenes=SceneConfig(grid_cells=32))
    synthesise(config)
    path.write_bytes((path.parent / "scenes" / "truth" / "000000.npz").read_bytes())


def write_part_network(path: Path) -> None:
    torch.manual_seed(0)
    save_part_network(PartNetwork(PartNetworkConfig((4, 4, 8, 8), 4)), PartNetworkInfo("x"), path)


@dataclass(frozen=True)
class Kind:
    """A kind of file: how a good one is written, how it is damaged, how it is read and used."""

    write: Callable[[Path], object]
    mutated: Callable[[bytes, random.Random], bytes]
    use: Callable[[Path], object]
    suffix: str = ".safetensors"


KINDS = {
    "people.npz": Kind(lambda path: write_npz(people(), path), mutated_npz, use_people, ".npz"),
    "people.json": Kind(lambda path: write_json(people(), path), mutated_json, use_people, ".json"),
    "truth": Kind(write_truth, mutated_npz, read_truth, ".npz"),
    "pose set": Kind(lambda path: poses().save(path), mutated_safetensors, use_poses),
    "attitude prior": Kind(write_attitude, mutated_safetensors, use_attitude),
    "dynamics": Kind(write_dynamics, mutated_safetensors, use_dynamics),
    "part network": Kind(write_part_network, mutated_safetensors, use_part_network),
    "checkpoint": Kind(write_checkpoint, mutated_safetensors, use_checkpoint),
    **{
        family: Kind(
            lambda path, family=family: kinflow.priors.save(small_prior(family), path),
            mutated_safetensors,
            use_prior,
        )
        for family in ("gaussian", "gmm", "vae", "realnvp", "spline", "maf")
    },
}


def without_checksum(data: bytes, path: Path) -> bytes:
    """A safetensors file as older versions wrote it."""
    path.write_bytes(data)
    with safe_open(path, framework="pt") as file:
        texts = {k: v for k, v in file.metadata().items() if k not in (CHECKSUM, "sha256")}
        tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    return save(tensors, texts)


@pytest.fixture(scope="module", params=KINDS)
def kind_and_files(request, tmp_path_factory) -> tuple[Kind, list[bytes]]:
    kind = KINDS[request.param]
    path = tmp_path_factory.mktemp("good") / f"good{kind.suffix}"
    kind.write(path)
    kind.use(path)
    files = [path.read_bytes()]
    if kind.suffix == ".safetensors":
        files.append(without_checksum(files[0], path))
        kind.use(path)
    return kind, files


def test_damaged_files_are_refused_or_usable(kind_and_files, tmp_path):
    kind, files = kind_and_files
    path = tmp_path / f"bad{kind.suffix}"
    refused = 0
    for seed in SEEDS:
        data = kind.mutated(files[seed % len(files)], random.Random(seed))
        path.write_bytes(data)
        try:
            kind.use(path)
        except InputError as error:
            refused += 1
            sentence = str(error)
            assert str(tmp_path) in sentence and "\n" not in sentence and len(sentence) < 1000, seed
            # the tests' own checks of types must not be what refuses
            assert "Type-check" not in sentence, (seed, sentence)
    assert refused > len(SEEDS) / 3
