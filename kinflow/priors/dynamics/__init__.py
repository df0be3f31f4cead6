"""How people move, in the latent space of poses: `Dynamics` and the motion it works on."""

from kinflow.priors.dynamics.model import Dynamics, DynamicsInfo
from kinflow.priors.dynamics.state import LatentMotion

__all__ = ["Dynamics", "DynamicsInfo", "LatentMotion"]
