"""`kinflow train attitude`: it learns which way is up, and goes on after a kill."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.attitude import AttitudePrior
from kinflow.training.priors.attitude_trainer import (
    AttitudeRecipe,
    TrainAttitudeConfig,
    seated,
    train,
)

SUBJECTS = ("01", "02", "03", "05")
HIPS = [FREE_JOINTS.index(JOINT_NAMES.index(f"{side}_hip")) for side in ("left", "right")]
UP = torch.tensor([0.0, 1.0, 0.0])


def bowing_people(subjects: tuple[str, ...] = SUBJECTS, frames: int = 200) -> PoseSet:
    """People of any heading who bend at the hips, by which their trunk leans forward; one in
    twenty lies."""
    generator = torch.Generator().manual_seed(0)
    total = frames * len(subjects)
    lean = 1.2 * torch.rand(total, generator=generator)
    rotvec = 0.1 * torch.randn(total, 19, 3, generator=generator)
    rotvec[:, HIPS, 0] -= lean[:, None]
    lean[::20] += math.pi / 2
    zero = torch.zeros(total)
    heading = 2 * math.pi * torch.rand(total, generator=generator) - math.pi
    turn = rotvec_to_matrix(torch.stack([zero, heading, zero], -1))
    R_root = turn @ rotvec_to_matrix(torch.stack([lean, zero, zero], -1))
    clip = torch.arange(len(subjects)).repeat_interleave(frames).int()
    root = matrix_to_rotvec(R_root)
    return PoseSet(rotvec, root, clip, torch.arange(total).int(), subjects, subjects)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "poses.safetensors"
    bowing_people().save(path)
    return path


def config_of(data: Path, out: Path, **changed) -> TrainAttitudeConfig:
    short = TrainAttitudeConfig(data, out, hidden=16, batch_size=128, steps=120, eval_every=40)
    return replace(short, **changed)


def median_error_deg(poses: PoseSet, up: torch.Tensor) -> float:
    truth = rotvec_to_matrix(poses.root_rotvec)[:, 1]
    return float(torch.rad2deg((truth * up).sum(-1).clamp(-1, 1).acos()).median())


def test_it_learns_what_the_hips_say_on_people_it_has_not_seen(data, tmp_path):
    network = AttitudePrior.load(train(config_of(data, tmp_path / "run", steps=300), "a command"))
    poses = PoseSet.load(data).split("test")
    constant = median_error_deg(poses, UP.expand(len(poses), 3))
    learned = median_error_deg(poses, network(rotvec_to_matrix(poses.rotvec)))
    assert constant > 25 and learned < 0.4 * constant
    assert network.info.command == "a command" and network.info.data_sha256
    assert network.info.metrics["validation_error_deg"] < constant
    assert network.info.metrics["sitting_error_deg"] < constant


def test_a_killed_run_continues_to_the_same_weights(data, tmp_path, monkeypatch):
    whole = config_of(data, tmp_path / "whole")
    train(whole)
    killed, calls, keep = replace(whole, out=tmp_path / "killed"), [], AttitudeRecipe.keep

    def killed_at_the_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        keep(*args)

    monkeypatch.setattr(AttitudeRecipe, "keep", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        train(killed)
    monkeypatch.undo()
    torch.manual_seed(123)  # whatever the state of the new process
    train(killed)
    a, b = (AttitudePrior.load(c.out / "attitude.safetensors") for c in (whole, killed))
    assert a.info == b.info
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name])


def test_who_is_seated_has_bent_hips_and_an_upright_pelvis():
    torch.manual_seed(0)
    R_free = rotvec_to_matrix(0.1 * torch.randn(400, 19, 3))
    sitting, up = seated(R_free)
    torch.testing.assert_close(sitting.mT @ sitting, torch.eye(3).expand_as(sitting))
    tilt = torch.rad2deg((up @ UP).clamp(-1, 1).acos())
    assert 5 < tilt.mean() < 20
    # the thighs point ahead: the hips turn what points down towards the front
    thigh = sitting[:, HIPS] @ -UP
    assert (thigh[..., 2] > 0.5).all()
    others = [row for row in range(19) if "spine" in JOINT_NAMES[FREE_JOINTS[row]]]
    assert torch.equal(sitting[:, others], R_free[:, others])


def test_another_run_or_a_set_without_validation_is_refused(data, tmp_path):
    train(config_of(data, tmp_path / "run", steps=40))
    with pytest.raises(InputError, match="other settings"):
        train(config_of(data, tmp_path / "run", steps=40, seed=1))
    bowing_people(("01", "03"), 10).save(tmp_path / "few.safetensors")
    with pytest.raises(InputError, match="no validation"):
        train(config_of(tmp_path / "few.safetensors", tmp_path / "other"))
