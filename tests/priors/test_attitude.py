"""The attitude prior: what it says of poses, its derivatives, and its files."""

import json
import math

import pytest
import torch

import kinflow.priors
from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES
from kinflow.errors import InputError
from kinflow.files.tensor_files import read_tensors, write_tensors
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.priors.attitude import AttitudeInfo, AttitudePrior
from kinflow.priors.pose_space import MIRROR_FREE

UP = torch.tensor([0.0, 1.0, 0.0])
ROWS = {JOINT_NAMES[joint]: row for row, joint in enumerate(FREE_JOINTS)}


@pytest.fixture(scope="module")
def attitude() -> AttitudePrior:
    return AttitudePrior.load()


def bent(**flexed_deg: float) -> torch.Tensor:
    """A pose with some joints turned about the axis from right to left, (19, 3, 3)."""
    rotvec = torch.zeros(19, 3)
    for name, angle in flexed_deg.items():
        rotvec[ROWS[name], 0] = math.radians(angle)
    return rotvec_to_matrix(rotvec)


def degrees_between(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.rad2deg(torch.linalg.cross(a, b.expand_as(a)).norm(dim=-1).atan2((a * b).sum(-1)))


def test_the_jacobian_matches_finite_differences(attitude, prior):
    z = torch.randn(4, prior.latent_dim, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        R_free, omega = prior.decode_with_jacobian(z)
        up, jacobian = attitude.with_jacobian(R_free, omega)
        torch.testing.assert_close(up, attitude(R_free))
        h, columns = 1e-3, []
        for step in h * torch.eye(prior.latent_dim):
            columns.append(attitude(prior.decode(z + step)) - attitude(prior.decode(z - step)))
        numeric = torch.stack(columns, -1) / (2 * h)
    assert numeric.abs().max() > 0.02
    torch.testing.assert_close(jacobian, numeric, atol=2e-3, rtol=1e-2)


def test_who_stands_has_their_head_up(attitude, prior):
    assert degrees_between(attitude(bent()), UP) < 10
    assert degrees_between(attitude(prior.decode(torch.zeros(prior.latent_dim))), UP) < 10


def test_who_bends_the_hips_over_straight_legs_leans_forward(attitude):
    """The trunk falls forward, so that up tilts towards the back of the pelvis."""
    lean = bent(left_hip=-70.0, right_hip=-70.0)
    sit = bent(left_hip=-85.0, right_hip=-85.0, left_knee=90.0, right_knee=90.0)
    up = attitude(lean)
    assert degrees_between(up, UP) > 20 and up[2] < 0
    assert degrees_between(attitude(sit), UP) < degrees_between(up, UP) - 10


def test_a_pose_in_the_mirror_has_up_in_the_mirror(attitude, prior):
    rotvec_flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    z = torch.randn(64, prior.latent_dim, generator=torch.Generator().manual_seed(2))
    R_free = prior.decode(z)
    mirrored = rotvec_flip @ R_free[:, MIRROR_FREE] @ rotvec_flip
    there = attitude(mirrored) @ rotvec_flip
    # learned from poses and their mirror images, not built in
    assert degrees_between(there, attitude(R_free)).median() < 3


def test_a_file_gives_the_network_back(tmp_path):
    torch.manual_seed(3)
    info = AttitudeInfo("a test", 3, "abc", hidden=8, metrics={"validation_error_deg": 5.5})
    network, path = AttitudePrior(info), tmp_path / "attitude.safetensors"
    network.save(path)
    state = torch.random.get_rng_state()
    loaded = AttitudePrior.load(path)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert loaded.info == info and not any(p.requires_grad for p in loaded.parameters())
    R_free = rotvec_to_matrix(torch.randn(5, 19, 3))
    torch.testing.assert_close(loaded(R_free), network(R_free))


def test_an_untrained_network_says_that_everybody_stands(prior):
    torch.manual_seed(0)
    network = AttitudePrior(AttitudeInfo())
    z = torch.randn(64, prior.latent_dim)
    assert degrees_between(network(prior.decode(z)), UP).max() < 10


def test_other_files_are_refused(tmp_path, prior):
    with pytest.raises(InputError, match="does not exist"):
        AttitudePrior.load(tmp_path / "none.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("not weights")
    kinflow.priors.save(prior, tmp_path / "prior.safetensors")
    for path in (text, tmp_path / "prior.safetensors"):
        with pytest.raises(InputError, match=str(path)):
            AttitudePrior.load(path)


@pytest.mark.parametrize("damage", ["smaller", "wider", "not numbers", "no size", "a tensor less"])
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "attitude.safetensors"
    AttitudePrior(AttitudeInfo(hidden=8)).save(path)
    texts, tensors = read_tensors(path, what="weights")
    tensors, header = {k: v.clone() for k, v in tensors.items()}, json.loads(texts["kinflow"])
    if damage == "smaller":
        tensors["first.weight"] = tensors["first.weight"][:, :5].contiguous()
    elif damage == "wider":
        header["info"]["hidden"] = 1 << 20
    elif damage == "not numbers":
        tensors["last.bias"][0] = math.nan
    elif damage == "no size":
        header["info"]["hidden"] = "many"
    else:
        del tensors["second.bias"]
    write_tensors(path, tensors, {"kinflow": json.dumps(header)})
    with pytest.raises(InputError, match="attitude.safetensors"):
        AttitudePrior.load(path)
