"""Levenberg-Marquardt over states on any manifold, in two forms that share damping and acceptance.

`dense` is for many small independent problems; `arrow` for problems that are a chain of frames tied
to their neighbours and to a few unknowns that all frames share, in time linear in their number.
"""

from kinflow.optim.arrow import ArrowModel, ArrowStep, ChainTerm
from kinflow.optim.dense import DenseModel
from kinflow.optim.levenberg_marquardt import (
    STATUS_SENTENCES,
    LMConfig,
    LMResult,
    QuadraticModel,
    State,
    Status,
    minimise,
)

__all__ = [
    "STATUS_SENTENCES",
    "ArrowModel",
    "ArrowStep",
    "ChainTerm",
    "DenseModel",
    "LMConfig",
    "LMResult",
    "QuadraticModel",
    "State",
    "Status",
    "minimise",
]
