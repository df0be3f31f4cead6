"""Statistical models of human pose, all behind one interface (`PosePrior`)."""

from kinflow.priors.base import PosePrior
from kinflow.priors.interface import PriorInfo
from kinflow.priors.storage import load_prior as load
from kinflow.priors.storage import save_prior as save

__all__ = ["PosePrior", "PriorInfo", "load", "save"]
