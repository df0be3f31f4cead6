"""How fast the shipped flow decodes, alone and against the plain zuko + torch.func path.

Prints CPU milliseconds on one thread (process time, so that a busy machine disturbs it little), the
least of five rounds. Run: `python benchmarks/prior_speed.py`.
"""

import time
from collections.abc import Callable
from typing import Any

import torch

import kinflow.priors
from kinflow.priors.flow import FlowPrior
from kinflow.priors.pose_space import rotvec_to_matrix


def cpu_milliseconds(call: Callable[[], object], repeats: int = 8, rounds: int = 5) -> float:
    """Least process time per call over a few rounds, after warming up."""
    call()
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(repeats):
            call()
        best = min(best, (time.process_time() - start) / repeats)
    return 1e3 * best


def zuko_decode(prior: FlowPrior, z: torch.Tensor) -> torch.Tensor:
    """Decoding by zuko's own inverse transform."""
    transform: Any = prior.flow.transform()
    y = transform.inv(z)
    rotvec = prior.whitening.mean + y @ prior.whitening.unwhitening
    return rotvec_to_matrix(rotvec.unflatten(-1, (-1, 3)))


def main() -> None:
    torch.set_num_threads(1)
    start = time.process_time()
    prior = kinflow.priors.load()
    print(f"first load {1e3 * (time.process_time() - start):.0f} ms", end=", ")
    again = cpu_milliseconds(kinflow.priors.load, repeats=2)
    print(f"later ones {again:.0f} ms")
    assert isinstance(prior, FlowPrior)
    zuko_jacobian = torch.func.vmap(torch.func.jacfwd(lambda z: zuko_decode(prior, z)))
    print("batch  decode  zuko  decode+Jacobian  zuko+torch.func")
    for batch in (1, 8, 64):
        z = torch.randn(batch, prior.latent_dim)
        figures = (
            cpu_milliseconds(lambda z=z: prior.decode(z)),
            cpu_milliseconds(lambda z=z: zuko_decode(prior, z)),
            cpu_milliseconds(lambda z=z: prior.decode_with_jacobian(z)),
            cpu_milliseconds(lambda z=z: zuko_jacobian(z), repeats=2),
        )
        decode, zuko, jacobian, plain = figures
        print(f"{batch:5d}  {decode:6.2f}  {zuko:4.2f}  {jacobian:15.2f}  {plain:.2f}")
    z = torch.randn(4096, prior.latent_dim)
    baked = cpu_milliseconds(lambda: prior.decode(z), 2)
    plain = cpu_milliseconds(lambda: zuko_decode(prior, z), 2)
    print(f" 4096  {baked:6.2f}  {plain:4.2f}")


if __name__ == "__main__":
    main()
