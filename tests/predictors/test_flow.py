"""The conditional flow is a density: invertible, its log determinant that of autograd."""

import torch

from kinflow.predictors.flow import ConditionalFlow


def a_flow(size=7, context=4):
    torch.manual_seed(0)
    flow = ConditionalFlow(size, context, blocks=3, hidden=16, dropout=0.0).double()
    for parameter in flow.conditioners.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return flow.eval()


def test_decoding_inverts_encoding():
    flow, context = a_flow(), torch.randn(5, 4).double()
    x = torch.randn(5, 7).double()
    u, _ = flow.encode(x, context)
    torch.testing.assert_close(flow.decode(u, context), x)


def test_the_log_determinant_is_that_of_autograd():
    flow, context = a_flow(), torch.randn(1, 4).double()
    x = torch.randn(7).double()
    jacobian = torch.autograd.functional.jacobian(lambda v: flow.encode(v[None], context)[0][0], x)
    _, log_det = flow.encode(x[None], context)
    torch.testing.assert_close(log_det[0], torch.linalg.slogdet(jacobian)[1])


def test_the_density_depends_on_what_was_seen():
    flow, x = a_flow(), torch.randn(1, 7).double()
    one, other = (flow.log_prob(x, torch.randn(1, 4).double()) for _ in range(2))
    assert float((one - other).abs()) > 1e-3


def test_samples_have_the_density():
    flow = a_flow(size=2, context=1)
    context = torch.ones(1, 1).double()
    axis = torch.linspace(-12, 12, 241).double()
    grid = torch.cartesian_prod(axis, axis)
    density = flow.log_prob(grid, context.expand(len(grid), -1)).exp()
    cell = float(axis[1] - axis[0]) ** 2
    assert abs(float(density.sum()) * cell - 1) < 0.01
    drawn = flow.decode(torch.randn(20_000, 2).double(), context.expand(20_000, -1))
    mean = (density[:, None] * grid).sum(0) * cell
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.05, rtol=0)
