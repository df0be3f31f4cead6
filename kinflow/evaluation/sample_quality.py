"""How well samples match real poses, by nearest neighbours.

Every real pose has a ball that reaches to its k-th nearest other real pose. Precision is the share
of samples inside any ball (Kynkäänniemi et al. 2019): are samples realistic? Coverage is the share
of balls with a sample inside (Naeem et al. 2020): is what is real also sampled? Distance: the root
mean square over joints of the angle between rotations.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class SampleQuality:
    """Shares between 0 and 1."""

    precision: float
    coverage: float


def geodesic_distance_rad(
    R_a: Float[Tensor, "a joints 3 3"], R_b: Float[Tensor, "b joints 3 3"]
) -> Float[Tensor, "a b"]:
    """Root mean square angle between each of one set of poses and each of another."""
    total = R_a.new_zeros(len(R_a), len(R_b))
    for joint in range(R_a.shape[1]):
        trace = R_a[:, joint].flatten(1) @ R_b[:, joint].flatten(1).mT
        total += (0.5 * (trace - 1.0)).clamp(-1.0, 1.0).acos().square()
    return (total / R_a.shape[1]).sqrt()


def sample_quality(
    samples: Float[Tensor, "samples joints 3 3"],
    real: Float[Tensor, "poses joints 3 3"],
    k: int = 5,
) -> SampleQuality:
    """Precision and coverage of samples; comparable only for equal numbers of both and equal k."""
    # A pose is its own nearest neighbour, hence k + 1.
    radius = geodesic_distance_rad(real, real).kthvalue(k + 1, dim=1).values
    inside = geodesic_distance_rad(real, samples) <= radius[:, None]
    return SampleQuality(inside.any(0).float().mean().item(), inside.any(1).float().mean().item())
