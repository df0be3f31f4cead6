"""Weight files of priors: one safetensors file whose header says what is inside.

The header's `kinflow` entry is JSON with the format version, the family, the pose space, the
family's settings and the prior's `PriorInfo`; loading refuses whatever does not match. A file that
did not come with kinflow is nobody's word: its settings are compared with its tensors before a
network is built, and the prior is tried out once before it is handed on.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kinflow.assets import asset_path
from kinflow.errors import InputError
from kinflow.files.json_values import from_json
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import header_json, read_tensors, write_tensors
from kinflow.priors.base import PosePrior
from kinflow.priors.coordinates import SPACES
from kinflow.priors.interface import PriorInfo
from kinflow.tensors import full_precision
from kinflow.version import __version__

FORMAT = 1
SHIPPED = {name: f"{name}.safetensors" for name in ("realnvp", "gaussian", "gmm", "vae")}
DEFAULT = "realnvp"

_WHAT = "a readable weight file of a pose prior"
_INFO_LIMITS = {"noise_rad": (0.0, 3.2)}
_TRIED_POSES = 32
_LARGEST_WEIGHT = 1e6


def _families() -> dict[str, type[PosePrior]]:
    from kinflow.priors.families import FLOW_FAMILIES
    from kinflow.priors.flow import FlowPrior
    from kinflow.priors.gaussian import GaussianPrior
    from kinflow.priors.gmm import GmmPrior
    from kinflow.priors.vae import VaePrior

    baselines: dict[str, type[PosePrior]] = {
        cls.family: cls for cls in (GaussianPrior, GmmPrior, VaePrior)
    }
    return {**dict.fromkeys(FLOW_FAMILIES, FlowPrior), **baselines}


def save_prior(prior: PosePrior, path: Path | str) -> None:
    """Write a prior to a weight file, atomically."""
    path = Path(path)
    tensors, settings = prior.state()
    header = {
        "format": FORMAT,
        "family": prior.family,
        "pose_space": prior.pose_space,
        "settings": settings,
        "info": asdict(prior.info),
        "version": __version__,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, tensors, {"kinflow": json.dumps(header)})


def load_prior(name: Path | str = DEFAULT) -> PosePrior:
    """Load a shipped prior by name, or any prior from its weight file.

    Raises:
        InputError: no such file, not a weight file of a prior, one of another format, family or
            pose space, or one that is damaged.
        AssetError: the file of a shipped prior is missing or damaged.
    """
    if not isinstance(name, str | os.PathLike):
        raise InputError(f"a prior is given by its name or weight file, not by {name!r}")
    shipped = str(name) in SHIPPED and isinstance(name, str)
    path = asset_path(f"priors/{SHIPPED[str(name)]}") if shipped else Path(name)
    if not os.path.isfile(path):
        raise InputError(
            f"there is no prior {str(name)!r}: give a weight file, or one of {', '.join(SHIPPED)}"
        )
    texts, tensors = read_tensors(path, what=_WHAT, trusted=shipped)
    header = header_json(texts, "kinflow", path) if "kinflow" in texts else {}
    family = _family(header, path)
    with guarded(path, _WHAT), full_precision("cpu"):
        try:
            prior = _rebuilt(family, header, tensors)
            if not shipped:
                _try_out(prior)
        except InputError as error:
            raise InputError(f"'{path}' is damaged or not of kinflow: {error}.") from error
    return prior


def _family(header: Mapping[str, Any], path: Path) -> type[PosePrior]:
    """The class that can read a file with this header."""
    family, families = header.get("family"), _families()
    right = isinstance(family, str) and family in families and header.get("format") == FORMAT
    if not isinstance(family, str) or not right:
        raise InputError(f"'{path}' is not a pose prior's weight file of this version of kinflow.")
    known = [space.label for space in SPACES.values()]
    if header.get("pose_space") not in known:
        raise InputError(
            f"'{path}' holds a prior over {header.get('pose_space')!r} poses; this needs "
            f"{' or '.join(known)}."
        )
    return families[family]


def _rebuilt(
    family: type[PosePrior], header: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> PosePrior:
    settings = header.get("settings")
    if not isinstance(settings, Mapping):
        raise InputError("'settings' are missing")
    info = from_json(PriorInfo, header.get("info"), _INFO_LIMITS)
    percentiles = info.calibration_nats
    if len(percentiles) == 1 or list(percentiles) != sorted(percentiles):
        raise InputError("'calibration_nats' are not percentiles")
    prior = family.from_state(_single_precision(tensors), settings, info)
    if (prior.family, prior.pose_space) != (header["family"], header["pose_space"]):
        raise InputError("'family' or 'pose_space' is not that of the settings")
    if surplus := sorted(tensors.keys() - prior.state()[0].keys()):
        raise InputError(f"the tensor '{surplus[0]}' has no place in it")
    return prior


def _single_precision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies that own their memory, real numbers in float32 whatever they were stored in."""
    copies = {
        name: value.to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)
        for name, value in tensors.items()
    }
    for name, value in copies.items():
        if value.numel() and value.is_floating_point() and value.abs().max() > _LARGEST_WEIGHT:
            raise InputError(f"the tensor '{name}' holds numbers too large to be right")
    return copies


@torch.no_grad()
def _try_out(prior: PosePrior) -> None:
    """Decode the likeliest pose and others: numbers in range each may overflow together.

    Densities are left out, which some flows take seconds for.
    """
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(_TRIED_POSES, prior.latent_dim, generator=generator, dtype=torch.float32)
    z[0] = 0.0
    R_free = prior.decode(z)
    _, omega = prior.decode_with_jacobian(z[:1])
    found = (R_free, omega, prior.encode(R_free[:1]), *prior.residual_with_jacobian(z))
    if not all(bool(value.isfinite().all()) for value in found):
        raise InputError("the poses that it decodes are not finite")
