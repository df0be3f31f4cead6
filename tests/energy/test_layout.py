"""The layout of the tangent space: its blocks, and how Jacobians and steps go in and out."""

import pytest
import torch
from test_keypoint_model import make_targets, random_unknowns

from kinflow.body.keypoints import COCO17, COCO17_ROWS
from kinflow.energy.body_energy import Energy, EnergyConfig
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.layout import TangentLayout
from kinflow.fitting.starts import hip_origin
from kinflow.optim import ArrowModel, ChainTerm, DenseModel

BLOCKS = ("rotation", "position", "latent", "shape", "focal")


@pytest.fixture(params=[False, True], ids=["focal_known", "focal_unknown"])
def layout(request) -> TangentLayout:
    return TangentLayout(4, 2, has_focal=request.param)


def indices(layout: TangentLayout, *names: str) -> list[int]:
    return [i for name in names for i in range(layout.size)[getattr(layout, name)]]


def test_every_column_belongs_to_one_block(layout):
    assert indices(layout, *BLOCKS) == list(range(layout.size))
    assert layout.size == 12 + layout.has_focal
    assert indices(layout, "frame") == indices(layout, "rotation", "position", "latent")
    assert indices(layout, "frame", "shared") == list(range(layout.size))
    assert indices(layout, "body", "focal") == list(range(layout.size))


def test_columns_go_where_a_step_takes_them_from(layout):
    step = torch.randn(3, layout.size)
    blocks = layout.split(step)
    for name, block in zip(BLOCKS, blocks, strict=True):
        torch.testing.assert_close(block, step[:, getattr(layout, name)])
    torch.testing.assert_close(layout.columns(**blocks._asdict()), step)


@pytest.mark.parametrize("name", ["rotation", "latent", "shape", "body", "frame"])
def test_other_columns_are_zero(layout, name):
    block = getattr(layout, name)
    some = torch.randn(2, 5, block.stop - block.start)
    whole = layout.columns(**{name: some})
    assert whole.shape == (2, 5, layout.size)
    torch.testing.assert_close(whole[..., block], some)
    assert whole.count_nonzero() == some.count_nonzero()


def test_columns_that_do_not_fit_are_refused(layout):
    with pytest.raises(ValueError, match="3 columns of 'latent' do not fit at 6 to 10"):
        layout.columns(latent=torch.ones(1, 3))
    with pytest.raises(ValueError, match="'position' do not fit"):
        layout.columns(frame=torch.ones(1, 10), position=torch.ones(1, 3))


@pytest.mark.parametrize("focal_log_std", [0.0, 0.3])
def test_a_chain_in_arrow_form_takes_the_step_of_the_dense_one(
    joints_body, prior, shape_prior, focal_log_std
):
    """Two frames of one person: poses of their own, one shape and one focal length."""
    model = KeypointModel(joints_body, prior, shape_prior, COCO17_ROWS)
    energy = Energy(model, hip_origin(COCO17), EnergyConfig(focal_log_std=focal_log_std))
    targets = make_targets(energy, random_unknowns(prior, 2, seed=3), 5.0)
    r, J = (x.double() for x in energy.linearise(random_unknowns(prior, 2, seed=2), targets))
    own, shared = J[..., energy.layout.frame], J[..., energy.layout.shared]
    nothing = DenseModel.of(shared.new_zeros(1, 1), shared.new_zeros(1, 1, shared.shape[-1]))
    arrow = ArrowModel.of([ChainTerm(r[None], own[None, :, None], shared[None])], nothing)
    whole = torch.cat([torch.block_diag(*own), shared.flatten(0, 1)], 1)
    dense = DenseModel.of(r.reshape(1, -1), whole[None])
    damping = torch.full((1,), 1e-2, dtype=torch.float64)
    torch.testing.assert_close(arrow.energy, dense.energy)
    found = arrow.step(damping, max_step=1e6)
    step = torch.cat([found.frames.flatten(1), found.shared], 1)
    torch.testing.assert_close(step, dense.step(damping, max_step=1e6), rtol=1e-8, atol=1e-8)
    assert step.abs().max() > 0.1
