"""How people move, in the latent space of poses: `Dynamics` and the motion it works on."""

from kinflow.priors.dynamics.model import Dynamics
from kinflow.priors.dynamics.state import LatentMotion
from kinflow.priors.dynamics.weights import DynamicsInfo

__all__ = ["Dynamics", "DynamicsInfo", "LatentMotion"]
