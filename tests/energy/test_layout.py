import pytest
import torch

from kinflow.energy.layout import TangentLayout

BLOCKS = ("rotation", "position", "latent", "shape", "focal")


@pytest.mark.parametrize("has_focal", [False, True])
def test_blocks_cover_all_unknowns_once(has_focal):
    layout = TangentLayout(5, 6, has_focal)
    columns = [torch.arange(layout.size)[getattr(layout, name)] for name in BLOCKS]
    assert torch.cat(columns).tolist() == list(range(3 + 3 + 5 + 6 + has_focal))
    assert layout.body == slice(0, layout.size - has_focal)


@pytest.mark.parametrize("name", BLOCKS[:4])
def test_spreading_a_block_puts_it_where_it_belongs(name):
    layout = TangentLayout(5, 6, has_focal=True)
    block = getattr(layout, name)
    columns = torch.randn(2, 3, block.stop - block.start)
    spread = layout.spread(columns, block)
    assert spread.shape == (2, 3, layout.size)
    assert torch.equal(spread[..., block], columns)
    assert int(spread.count_nonzero()) == columns.numel()


def test_the_focal_length_has_a_column_only_where_it_is_unknown():
    body, focal = torch.randn(2, 3, 17), torch.randn(2, 3)
    fixed = TangentLayout(5, 6)
    assert torch.equal(fixed.joined(body, focal), body)
    free = TangentLayout(5, 6, has_focal=True)
    assert torch.equal(free.joined(body, focal)[..., free.body], body)
    assert torch.equal(free.joined(body, focal)[..., free.focal][..., 0], focal)
