"""Poses of the SMPL family teach as ours do, and what a label lacks teaches nothing."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets" / "readers"))
sys.path.insert(0, str(Path(__file__).parents[1]))
from made_people import made_camera, made_person, read_all
from made_up_people import MadeUpPeople
from smpl_people import person_fields
from test_emdb_reader import FRAMES, SIZE, fields, write

from kinflow.body import BodyModel
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.body.smpl_mesh import SmplMesh
from kinflow.datasets.sample_looks import _truth
from kinflow.datasets.samples import Samples
from kinflow.evidence.region import Region
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.predictors import Predictor
from kinflow.predictors.network import NetworkConfig
from kinflow.predictors.predictor import PredictorInfo
from kinflow.training.predictors.batches import Labelled
from kinflow.training.predictors.losses import LossConfig, PredictorLoss, relative
from kinflow.training.predictors.regimes import as_known, is_used

SMALL = NetworkConfig(width=16, layers=1, heads=2, readout=32, blocks=1, context=8,
                      flow_blocks=1, flow_hidden=8, dropout=0.0)  # fmt: skip
REGION = Region((720.0, 960.0), 1400.0, 0.0)


@pytest.fixture(scope="module")
def people() -> Labelled:
    return MadeUpPeople(0).source(32).next()


def knowing(people: Labelled, pose: bool, root: bool) -> Labelled:
    """The same people with no label but how they are turned."""
    nobody = torch.zeros(len(people), dtype=torch.bool)
    return replace(
        people,
        has_body=nobody,
        has_pose=nobody | pose,
        has_root=nobody | root,
        points=torch.zeros_like(people.points),
        parts=torch.zeros_like(people.parts),
    )


def network() -> Predictor:
    torch.manual_seed(0)
    return Predictor(replace(SMALL, latent_size=42, shape_size=6), PredictorInfo("", 0, "", 0, {}))


def test_turns_of_a_file_are_those_of_our_body_before_the_camera(tmp_path):
    person, camera = made_person(FRAMES, 6), made_camera(SIZE, 1450.0)
    write(tmp_path, fields())
    for frame, sample in enumerate(read_all("emdb", tmp_path, "emdb1")):
        truth = _truth(sample, REGION)
        assert bool(truth["has_pose"]) and bool(truth["has_root"]) and "has_body" not in truth
        assert "root_cam_m" not in truth and "phenotypes" not in truth
        found = rotvec_to_matrix(truth["rotvec"]).numpy()
        np.testing.assert_allclose(found[1:], person.R[frame][1:], atol=1e-4)
        np.testing.assert_allclose(found[0], camera.R_cam_world @ person.R[frame][0], atol=1e-4)


def test_without_the_camera_joints_teach_and_the_root_does_not(tmp_path):
    write(tmp_path, fields())
    sample = read_all("emdb", tmp_path, "emdb1")[0]
    truth = _truth(replace(sample, camera=None), REGION)
    assert bool(truth["has_pose"]) and not bool(truth["has_root"])
    assert not truth["rotvec"][0].any() and bool(truth["rotvec"][1:].any())


@pytest.mark.parametrize(
    ("joint", "end", "axis"),
    [
        ("left_knee", "left_ankle", 0),
        ("right_knee", "right_ankle", 0),
        ("left_elbow", "left_wrist", 1),
        ("right_hip", "right_knee", 2),
        ("neck", "head", 0),
    ],
)
def test_a_joint_turned_in_a_smpl_file_turns_ours_by_as_much(tmp_path, joint, end, axis):
    np.savez(tmp_path / "SMPL_MALE.npz", **person_fields("smpl"))
    mesh = SmplMesh.load(tmp_path / "SMPL_MALE.npz")
    vector = torch.zeros(24, 3)
    vector[JOINT_INDEX[joint], axis] = torch.pi / 3
    R = rotvec_to_matrix(vector)
    body = BodyModel.load("joints")
    shaped = body.with_shape(body.shape_space.neutral())

    def bone(joints_m) -> np.ndarray:
        bone_m = np.asarray(joints_m)[JOINT_INDEX[end]] - np.asarray(joints_m)[JOINT_INDEX[joint]]
        return bone_m / np.linalg.norm(bone_m)

    def of_the_file(R: np.ndarray) -> np.ndarray:
        return bone(mesh.posed(np.zeros(10), R, np.zeros(3))[1])

    theirs, straight = of_the_file(R.numpy()), of_the_file(np.tile(np.eye(3), (24, 1, 1)))
    ours = bone(shaped.with_pose(R[:22], torch.zeros(3)).joints_m)
    assert np.degrees(np.arccos(np.clip(theirs @ ours, -1, 1))) < 1.5
    # a knee that bends by 60 degrees about the subject's left takes the foot back
    if "knee" in joint:
        assert abs(np.degrees(np.arccos(ours @ straight)) - 60) < 1 and ours[2] < -0.7


def test_they_are_kept_in_shards_and_older_shards_have_none(tmp_path, people):
    samples = Samples.concatenate([Samples.nobody()])
    assert not len(samples.has_pose)
    one = Samples(
        **{n: torch.zeros((1, *v.shape[1:]), dtype=v.dtype) for n, v in vars(samples).items()}
    )
    one.save(tmp_path / "old.safetensors")
    assert not bool(Samples.load(tmp_path / "old.safetensors").has_pose.any())
    known = replace(one, has_pose=torch.tensor([True]), rotvec=one.rotvec + 0.1)
    known.save(tmp_path / "new.safetensors")
    again = Samples.load(tmp_path / "new.safetensors")
    assert bool(again.has_pose.all()) and not bool(again.has_root.any())


@pytest.mark.parametrize("pose", [True, False])
@pytest.mark.parametrize("root", [True, False])
def test_what_a_label_lacks_has_no_gradient(people, pose, root):
    predictor = network()
    loss_of = PredictorLoss(predictor_prior(), LossConfig(pose_prior=0.0, shape_prior=0.0))
    posterior = predictor(people.looks)
    # each on its own: places of joints are on the way to the others
    alone = {n: v.detach().requires_grad_() for n, v in posterior.guess._asdict().items()}
    posterior = replace(posterior, guess=posterior.guess._replace(**alone))
    learned = (posterior.guess.R_view_base, posterior.guess.centre, posterior.guess.points_m)
    loss = loss_of(posterior, knowing(people, pose, root)).sum()
    found = torch.autograd.grad(loss, learned, allow_unused=True, materialize_grads=True)
    turn, centre, told = (value.flatten(1).abs() for value in found)
    place, latent, shape = centre[:, 3:].split([3, centre.shape[1] - 12, 6], 1)
    assert bool((turn.sum(1) > 1e-4).all()) == bool((turn > 0).any()) == root
    assert bool((latent.sum(1) > 1e-4).all()) == bool((latent > 0).any()) == pose
    assert bool((told > 0).any()) == (pose and root)
    assert float(shape.max()) == 0 and float(place.max()) < 1e-4


def predictor_prior():
    return MadeUpPeople(0).prior


def test_the_error_is_zero_at_the_truth_whatever_the_size_and_the_place(people):
    loss_of = PredictorLoss(predictor_prior(), LossConfig(tokens_3d=0.0))
    known = knowing(people, True, True)
    posterior = network()(people.looks)
    truth = posterior.frame.to_vector(people.truth, posterior.guess.R_view_base)
    other = torch.cat([truth[:, :3], truth[:, 3:6] + 0.1, truth[:, 6:-6], -truth[:, -6:]], 1)
    with torch.no_grad():
        at_truth = loss_of._of_turns(posterior.about(other), known)
        elsewhere = loss_of._of_turns(posterior, known)
    assert float(at_truth.max()) < 0.05 and float(elsewhere.min()) > 0.5


def test_poses_alone_teach_poses(people):
    predictor = network()
    loss_of = PredictorLoss(predictor_prior(), LossConfig())
    known = knowing(people, True, True)
    optimizer = torch.optim.Adam(predictor.parameters(), 5e-3)

    def apart_m() -> float:
        with torch.no_grad():
            guess = predictor.eval()(people.looks).point()
            ours, truth = (relative(loss_of.points_m(u)) for u in (guess, people.truth))
            return float((ours - truth).norm(dim=-1).mean())

    before = apart_m()
    for _ in range(30):
        loss = loss_of(predictor.train()(people.looks), known).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert apart_m() < 0.7 * before


def test_regimes_and_sources_say_whether_poses_count(people):
    everybody = torch.ones(len(people), dtype=torch.bool)
    known = knowing(people, True, True)
    assert bool(is_used(as_known(known, "fs", everybody), "fs").all())
    assert not bool(is_used(as_known(known, "fs", ~everybody), "fs").any())
    batches = (as_known(known, "ss", everybody), as_known(known, "ws", everybody, ("body",)))
    assert not any(bool((batch.has_pose | batch.has_root).any()) for batch in batches)
