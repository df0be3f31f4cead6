"""The focal length of a camera, estimated from all the people in front of it.

A body of known size shows perspective: how much smaller its far parts look tells its distance, and
with its size in the image that tells the focal length.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from kinflow.energy.body_energy import Targets
from kinflow.fitting.solver import FitConfig, PersonFitter


def with_free_focal(config: FitConfig, focal_log_std: float) -> FitConfig:
    """The same fit with a focal length for each person, `focal_log_std` about the assumed one."""
    return replace(config, energy=replace(config.energy, focal_log_std=focal_log_std))


def shared_log_focal(fitter: PersonFitter, targets: Targets) -> float:
    """Log of the focal length relative to the assumed one.

    Each row is fitted with a focal length of its own; this is their precision-weighted mean.

    Args:
        fitter: of a configuration `with_free_focal`.
        targets: people before one camera, on one photo or several.
    """
    candidates = fitter.fit(targets)
    best = torch.stack([candidates.of(i)[0] for i in range(len(targets.focal_px))])
    unknowns = candidates.unknowns[best]
    with torch.no_grad():
        _, J = fitter.energy.linearise(unknowns, targets)
    J = J.cpu().double()  # in single precision the product may be indefinite
    hessian = J.mT @ J
    focal = fitter.energy.layout.focal
    precision = 1 / torch.linalg.inv(hessian)[:, focal, focal].flatten().clamp_min(1e-9)
    return float((precision * unknowns.log_focal.cpu()).sum() / precision.sum())
