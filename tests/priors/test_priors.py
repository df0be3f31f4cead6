"""Laws that every prior obeys, checked over all families."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

import kinflow.priors
from kinflow.errors import InputError
from kinflow.priors import PosePrior, PriorInfo
from kinflow.priors.coordinates import SPACES
from kinflow.priors.families import FLOW_FAMILIES, flow_config, make_flow
from kinflow.priors.flow import FlowPrior
from kinflow.priors.flow_network import FlowNetwork
from kinflow.priors.gaussian import GaussianPrior
from kinflow.priors.gmm import GmmPrior
from kinflow.priors.pose_space import POSE_DIM, Whitening, matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.vae import VaeNetworks, VaePrior
from kinflow.training.priors.gmm_fit import fit_gmm

KEPT = 11
SIXD_FLOWS = tuple(f"{family} 6d" for family in FLOW_FAMILIES)
EXACT = ("gaussian", "gmm", *FLOW_FAMILIES)
FAMILIES = (*EXACT, *SIXD_FLOWS, "vae")


def random_whitening(dtype=torch.float32) -> Whitening:
    generator = torch.Generator().manual_seed(0)
    gaussian = torch.randn(POSE_DIM, POSE_DIM, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(gaussian)[0]
    std = torch.linspace(0.4, 0.02, POSE_DIM)
    mean = 0.2 * torch.randn(POSE_DIM, generator=generator)
    return Whitening(mean.double(), basis, std.double(), KEPT).to(dtype)


def random_sixd_whitening(dtype, num_kept: int) -> Whitening:
    """Coordinates around a pose of moderate rotations, within the reach of Gram–Schmidt."""
    generator = torch.Generator().manual_seed(0)
    dim = SPACES["sixd"].dim
    basis = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))[0]
    R_free = rotvec_to_matrix(0.2 * torch.randn(19, 3, generator=generator))
    mean = SPACES["sixd"].from_matrix(R_free).double()
    return Whitening(mean, basis, torch.linspace(0.3, 0.1, dim).double(), num_kept).to(dtype)


def random_flow(family, dtype=torch.float32, dim=KEPT) -> FlowNetwork:
    torch.manual_seed(1)
    flow = make_flow(flow_config(family, dim, blocks=3, hidden=16, depth=2, dropout=0.1))
    flow = flow.to(dtype)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.03 * torch.randn_like(parameter)
    return flow.eval()


def make_prior(family: str, dtype=torch.float32) -> PosePrior:
    info = PriorInfo(data_sha256="abc", noise_rad=0.02, seed=3, command="made in a test")
    if family == "gaussian":
        return GaussianPrior(random_whitening(dtype), info)
    torch.manual_seed(2)
    if family == "gmm":
        cholesky = torch.eye(KEPT) + 0.2 * torch.randn(3, KEPT, KEPT).tril()
        parts = (torch.randn(3, KEPT), cholesky, torch.tensor([0.5, 0.3, 0.2]).log())
        return GmmPrior(random_whitening(dtype), *(part.to(dtype) for part in parts), info)
    if family == "vae":
        return VaePrior(VaeNetworks(KEPT, hidden=24).to(dtype), info)
    if family.endswith(" 6d"):
        flow = random_flow(family.removesuffix(" 6d"), dtype)
        return FlowPrior(flow, random_sixd_whitening(dtype, KEPT), info, "sixd")
    return FlowPrior(random_flow(family, dtype), random_whitening(dtype), info)


@pytest.fixture(params=FAMILIES)
def small_prior(request) -> PosePrior:
    return make_prior(request.param)


@pytest.fixture(params=EXACT)
def exact_prior(request) -> PosePrior:
    """Priors with an exact density and an invertible decoder."""
    return make_prior(request.param)


@pytest.fixture(params=EXACT)
def exact_double_prior(request) -> PosePrior:
    return make_prior(request.param, torch.float64)


@pytest.fixture(params=FAMILIES)
def double_prior(request) -> PosePrior:
    return make_prior(request.param, torch.float64)


@pytest.mark.parametrize("batch_shape", [(), (1,), (4,), (2, 3)])
def test_shapes_follow_the_batch_and_values_do_not_depend_on_it(small_prior, batch_shape):
    z = torch.randn(*batch_shape, KEPT)
    R_free = small_prior.decode(z)
    R_again, omega = small_prior.decode_with_jacobian(z)
    assert R_free.shape == (*batch_shape, 19, 3, 3)
    assert omega.shape == (*batch_shape, 19, 3, KEPT)
    assert small_prior.encode(R_free).shape == z.shape
    assert small_prior.log_prob(R_free).shape == small_prior.energy(z).shape == batch_shape
    torch.testing.assert_close(R_again, R_free, atol=1e-6, rtol=0)
    flat = z.reshape(-1, KEPT)
    one_by_one = torch.stack([small_prior.decode_with_jacobian(row)[1] for row in flat])
    torch.testing.assert_close(omega.reshape(one_by_one.shape), one_by_one, atol=1e-5, rtol=1e-5)


def test_encode_inverts_decode(exact_prior):
    z = torch.randn(64, KEPT)
    torch.testing.assert_close(exact_prior.encode(exact_prior.decode(z)), z, atol=1e-4, rtol=0)
    R_free = exact_prior.decode(z)
    again = exact_prior.decode(exact_prior.encode(R_free))
    angle = matrix_to_rotvec(again @ R_free.mT).norm(dim=-1)
    assert angle.max() < 1e-4


@pytest.mark.parametrize("family", FLOW_FAMILIES)
def test_in_6d_every_pose_comes_back(family):
    """All of its dimensions are modelled, as in training; the surplus ones decode to nothing."""
    dim = SPACES["sixd"].dim
    whitening = random_sixd_whitening(torch.float32, dim)
    prior = FlowPrior(random_flow(family, dim=dim), whitening, PriorInfo(), "sixd")
    R_free = rotvec_to_matrix(
        0.4 * torch.randn(8, 19, 3, generator=torch.Generator().manual_seed(0))
    )
    again = prior.decode(prior.encode(R_free))
    assert matrix_to_rotvec(again @ R_free.mT).norm(dim=-1).max() < 1e-4


def test_decoded_matrices_are_rotations(small_prior):
    R_free = small_prior.sample(32, torch.Generator().manual_seed(0))
    eye = torch.eye(3).expand_as(R_free)
    torch.testing.assert_close(R_free @ R_free.mT, eye, atol=1e-5, rtol=0)
    assert (torch.linalg.det(R_free) > 0.99).all()


def test_jacobian_is_the_left_angular_velocity(double_prior):
    z = torch.randn(3, KEPT, dtype=torch.float64)
    R_free, omega = double_prior.decode_with_jacobian(z)
    step = 1e-6
    for k in range(KEPT):
        dz = step * torch.eye(KEPT, dtype=torch.float64)[k]
        forward, backward = double_prior.decode(z + dz), double_prior.decode(z - dz)
        numeric = matrix_to_rotvec(forward @ backward.mT) / (2 * step)
        torch.testing.assert_close(omega[..., k], numeric, atol=1e-7, rtol=1e-6)
    assert omega.abs().max() > 0.1


def test_jacobian_agrees_with_forward_mode_autograd(double_prior):
    z = torch.randn(KEPT, dtype=torch.float64)
    R_free, omega = double_prior.decode_with_jacobian(z)
    d_R = torch.func.jacfwd(double_prior.decode)(z)
    spin = torch.einsum("jabk,jcb->jack", d_R, R_free)
    expected = torch.stack([spin[:, 2, 1], spin[:, 0, 2], spin[:, 1, 0]], 1)
    torch.testing.assert_close(omega, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("family", ["gaussian", "realnvp"])
def test_log_prob_is_the_change_of_variables(family):
    """log p(x) = log N(z) − log |det dx/dz| over all 57 dimensions, by autograd."""
    double_prior = make_prior(family, torch.float64)
    whitening = double_prior.whitening
    assert isinstance(whitening, Whitening)
    y_rest = torch.randn(POSE_DIM - KEPT, dtype=torch.float64)
    z = 0.5 * torch.randn(KEPT, dtype=torch.float64)

    def rotvec_of(full_z):
        kept = matrix_to_rotvec(double_prior.decode(full_z[:KEPT])).flatten()
        return kept + whitening.basis[:, KEPT:] @ (whitening.std[KEPT:] * full_z[KEPT:])

    full_z = torch.cat([z, y_rest])
    jacobian = torch.autograd.functional.jacobian(rotvec_of, full_z)
    log_normal = -0.5 * (full_z @ full_z) - 0.5 * POSE_DIM * math.log(2 * math.pi)
    expected = log_normal - torch.linalg.slogdet(jacobian)[1]
    R_free = rotvec_to_matrix(rotvec_of(full_z).unflatten(0, (-1, 3)))
    torch.testing.assert_close(double_prior.log_prob(R_free), expected, atol=1e-8, rtol=0)


def test_energy_is_half_the_squared_residual(double_prior):
    z = torch.randn(2, 3, KEPT, dtype=torch.float64)
    residual, jacobian = double_prior.residual_with_jacobian(z)
    torch.testing.assert_close(double_prior.energy(z), 0.5 * residual.square().sum(-1))
    gradient = torch.func.grad(lambda v: double_prior.energy(v).sum())(z)
    expected = (residual[..., None, :] @ jacobian)[..., 0, :]
    torch.testing.assert_close(expected, gradient, atol=1e-9, rtol=1e-9)


def test_mixture_density_is_the_sum_of_its_components():
    prior = make_prior("gmm", torch.float64)
    assert isinstance(prior, GmmPrior)
    y = torch.randn(5, KEPT, dtype=torch.float64)
    covariances = prior.cholesky @ prior.cholesky.mT
    components = torch.distributions.MultivariateNormal(prior.means, covariances)
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=prior.log_weights), components
    )
    rest = -0.5 * (POSE_DIM - KEPT) * math.log(2 * math.pi)
    expected = mixture.log_prob(y) + rest + prior.whitening.log_volume()
    torch.testing.assert_close(prior.log_prob(prior.decode(y)), expected, atol=1e-6, rtol=0)


def test_expectation_maximisation_finds_separate_clusters():
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[4.0, 0.0], [-4.0, 0.0]])
    y = torch.cat([centre + torch.randn(500, 2, generator=generator) for centre in centres])
    means, cholesky, log_weights = fit_gmm(y, 2, 30, generator)
    order = means[:, 0].argsort(descending=True)
    torch.testing.assert_close(means[order], centres, atol=0.2, rtol=0)
    torch.testing.assert_close(log_weights.exp(), torch.tensor([0.5, 0.5]), atol=0.05, rtol=0)
    torch.testing.assert_close(
        cholesky @ cholesky.mT, torch.eye(2).expand(2, 2, 2), atol=0.2, rtol=0
    )


def test_vae_bound_improves_with_better_reconstruction():
    prior = make_prior("vae")
    R_free = prior.sample(6, torch.Generator().manual_seed(0))
    far = R_free @ rotvec_to_matrix(torch.full((6, 19, 3), 0.5))
    assert (prior.log_prob(R_free) > prior.log_prob(far)).all()


def test_samples_follow_the_generator(small_prior):
    draws = [small_prior.sample(4, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_save_and_load_give_the_same_prior(small_prior, tmp_path):
    path = tmp_path / "prior.safetensors"
    kinflow.priors.save(small_prior, path)
    loaded = kinflow.priors.load(path)
    assert type(loaded) is type(small_prior)
    assert loaded.info == small_prior.info
    z = torch.randn(3, KEPT)
    R_free = small_prior.decode(z)
    torch.testing.assert_close(loaded.decode(z), R_free)
    torch.testing.assert_close(loaded.log_prob(R_free), small_prior.log_prob(R_free))
    assert [p.name for p in tmp_path.iterdir()] == ["prior.safetensors"]


@pytest.mark.parametrize("family", FLOW_FAMILIES)
def test_flow_log_determinant_agrees_with_autograd(family):
    flow = random_flow(family, torch.float64)
    x = torch.randn(KEPT, dtype=torch.float64)
    _, log_det = flow.transform().call_and_ladj(x)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow.transform()(v), x)
    assert (torch.linalg.slogdet(jacobian)[1] - log_det).abs() < 1e-8


@pytest.mark.parametrize("family", FLOW_FAMILIES)
def test_flow_is_a_bijection(family):
    transform = random_flow(family, torch.float64).transform()
    x = torch.randn(2, 5, KEPT, dtype=torch.float64)
    torch.testing.assert_close(transform.inv(transform(x)), x, atol=1e-9, rtol=0)


@pytest.mark.parametrize("family", FLOW_FAMILIES)
def test_gradients_reach_every_parameter(family):
    flow = random_flow(family)
    flow.log_prob(torch.randn(16, KEPT)).mean().backward()
    without = [n for n, p in flow.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_baked_decoder_equals_zuko():
    prior = make_prior("realnvp", torch.float64)
    assert isinstance(prior, FlowPrior)
    z = torch.randn(7, KEPT, dtype=torch.float64)
    y = prior.flow.transform().inv(z)
    rotvec = (prior.whitening.mean + y @ prior.whitening.unwhitening).unflatten(-1, (-1, 3))
    torch.testing.assert_close(prior.decode(z), rotvec_to_matrix(rotvec), atol=1e-10, rtol=0)


def edit_header(path, **changes):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["kinflow"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {"kinflow": json.dumps(header | changes)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 999}, "of this version"),
        ({"family": "crystal ball"}, "of this version"),
        ({"pose_space": "quaternion"}, "quaternion"),
        ({"settings": {}}, "damaged"),
        ({"info": {"unknown": 1}}, "damaged"),
    ],
)
def test_a_weight_file_that_does_not_match_is_refused(small_prior, tmp_path, changes, message):
    path = tmp_path / "prior.safetensors"
    kinflow.priors.save(small_prior, path)
    edit_header(path, **changes)
    with pytest.raises(InputError, match=message):
        kinflow.priors.load(path)


def edit_tensors(path, name, change):
    """The file as an older version would have written it, without a checksum."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        texts = {"kinflow": file.metadata()["kinflow"]}
        tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    changed = change(tensors.pop(name))
    save_file(tensors if changed is None else {**tensors, name: changed.contiguous()}, path, texts)


BAD_TENSORS = {
    "nothing": ("whitening.mean", lambda t: None, "'whitening.mean' is missing"),
    "transposed shape": ("means", lambda t: t.mT, "'means' has shape"),
    "another shape": ("whitening.std", lambda t: t[:, None], "'whitening.std' has shape"),
    "whole numbers": ("means", lambda t: t.int(), "'means' .* holds int32"),
    "NaN": ("cholesky", lambda t: t * math.nan, "'cholesky' holds values that are not finite"),
    "beyond float32": ("means", lambda t: t.double() * 1e300, "too large|not finite"),
    "far means": ("means", lambda t: t + 1e5, "'means' or 'cholesky' holds values"),
    "no spread": ("whitening.std", lambda t: 0 * t, "'whitening.std' .* cannot be right"),
    "negative spread": ("whitening.std", lambda t: -t, "'whitening.std' .* cannot be right"),
    "skewed basis": ("whitening.basis", lambda t: t + 0.1, "are not orthonormal"),
    "doubled basis": ("whitening.basis", lambda t: 2 * t, "are not orthonormal"),
    "no factor": ("cholesky", lambda t: -t, "does not hold factors"),
    "upper factor": ("cholesky", lambda t: t + 0.1, "does not hold factors"),
    "weights of 2": ("log_weights", lambda t: t + math.log(2), "do not sum to one"),
    "no components": ("log_weights", lambda t: t[:0], "'log_weights' has shape"),
}


@pytest.mark.parametrize("fault", BAD_TENSORS)
def test_tensors_that_cannot_be_right(fault, tmp_path):
    name, change, sentence = BAD_TENSORS[fault]
    path = tmp_path / "prior.safetensors"
    kinflow.priors.save(make_prior("gmm"), path)
    edit_tensors(path, name, change)
    with pytest.raises(InputError, match=sentence):
        kinflow.priors.load(path)


BAD_SETTINGS = {
    "realnvp": [
        *({"blocks": b} for b in (0, -1, 10**9, 2.5, "3", None, [3], True)),
        {"hidden": 8000},
        {"depth": 64},
        {"dim": KEPT + 1},
        {"dropout": 7},
        {"max_log_scale": 0},
        {"coupling": "quadratic"},
        {"coupling": ["affine"]},
        {"unheard_of": 1},
    ],
    "maf": [{"blocks": 256}, {"hidden": 8192}, {"fast": "neither"}],
    "gaussian": [{"num_kept": n} for n in (0, -3, 58, 10**6, "x", None, 2.5)],
    "vae": [{"latent_dim": 1024}, {"hidden": 8192}, {"hidden": 0}],
}


@pytest.mark.parametrize("family", BAD_SETTINGS)
def test_settings_are_compared_with_the_tensors_before_a_network_is_built(family, tmp_path):
    path = tmp_path / "prior.safetensors"
    prior = make_prior(family)
    for changes in BAD_SETTINGS[family]:
        kinflow.priors.save(prior, path)
        _, settings = prior.state()
        (inner,) = set(settings) & {"flow", "autoregressive"} or {None}
        settings = (
            {**settings, inner: {**settings[inner], **changes}}
            if inner
            else {**settings, **changes}
        )
        edit_header(path, settings=settings)
        with pytest.raises(InputError, match="is damaged or not of kinflow"):
            kinflow.priors.load(path)


@pytest.mark.parametrize(
    "info",
    [
        None,
        {"noise_rad": -1},
        {"noise_rad": "0.02"},
        {"seed": 1.5},
        {"metrics": [1]},
        {"calibration_nats": [3.0]},
        {"calibration_nats": [3.0, 2.0]},
        {"calibration_nats": [1.0, float("nan")]},
    ],
)
def test_origins_that_cannot_be_right(info, tmp_path):
    path = tmp_path / "prior.safetensors"
    kinflow.priors.save(make_prior("gaussian"), path)
    edit_header(path, info=info)
    with pytest.raises(InputError, match="is damaged or not of kinflow"):
        kinflow.priors.load(path)


def test_a_changed_weight_is_noticed_by_the_checksum(small_prior, tmp_path):
    path = tmp_path / "prior.safetensors"
    kinflow.priors.save(small_prior, path)
    data = bytearray(path.read_bytes())
    data[-2] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(InputError, match="not what its checksum says"):
        kinflow.priors.load(path)


@pytest.mark.parametrize("family", ["gmm", "realnvp", "maf", "vae"])
@pytest.mark.parametrize("stored", [torch.float64, torch.float16])
def test_other_precisions_and_other_defaults_of_torch_are_read(family, stored, tmp_path):
    path = tmp_path / "prior.safetensors"
    prior = make_prior(family)
    kinflow.priors.save(prior, path)
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        texts = {"kinflow": file.metadata()["kinflow"]}
        tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    real = {k: v.to(stored) if v.is_floating_point() else v for k, v in tensors.items()}
    save_file(real, path, texts)
    torch.set_default_dtype(torch.float64)
    try:
        loaded = kinflow.priors.load(path)
    finally:
        torch.set_default_dtype(torch.float32)
    z = torch.randn(3, KEPT)
    assert loaded.decode(z).dtype == torch.float32
    torch.testing.assert_close(loaded.decode(z), prior.decode(z), atol=0.05, rtol=0)


def test_files_that_are_no_weights_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no prior"):
        kinflow.priors.load(tmp_path / "missing.safetensors")
    with pytest.raises(InputError, match="there is no prior 'gausian'"):
        kinflow.priors.load("gausian")
    (tmp_path / "text").write_text("not weights")
    with pytest.raises(InputError, match="not a readable weight file"):
        kinflow.priors.load(tmp_path / "text")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="of this version"):
        kinflow.priors.load(tmp_path / "other.safetensors")
