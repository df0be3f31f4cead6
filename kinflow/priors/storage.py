"""Weight files of priors: one safetensors file whose header says what is inside.

The header's `kinflow` entry is JSON with the format version, the family, the pose space, the
family's settings and the prior's `PriorInfo`; loading refuses whatever does not match.
"""

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

import kinflow
from kinflow.assets import asset_path
from kinflow.errors import AssetError
from kinflow.files.atomic import write_bytes
from kinflow.priors.base import PosePrior, PriorInfo
from kinflow.priors.coordinates import SPACES

FORMAT = 1
SHIPPED = {name: f"{name}.safetensors" for name in ("realnvp", "gaussian", "gmm", "vae")}
DEFAULT = "realnvp"


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
        "version": kinflow.__version__,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, to_bytes(contiguous, {"kinflow": json.dumps(header)}))


def _resolve(name: Path | str) -> Path:
    if isinstance(name, str) and name in SHIPPED:
        return asset_path(f"priors/{SHIPPED[name]}")
    return Path(name)


def load_prior(name: Path | str = DEFAULT) -> PosePrior:
    """Load a shipped prior by name, or any prior from its weight file.

    Raises:
        AssetError: no such file, not a weight file of a prior, or one of another format, family or
            pose space.
    """
    path = _resolve(name)
    if not path.is_file():
        raise AssetError(
            f"there is no prior {str(name)!r}: give a weight file, or one of {', '.join(SHIPPED)}"
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("kinflow", "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise AssetError(f"{path} is not a readable weight file: {error}") from error
    families = _families()
    if header.get("format") != FORMAT or header.get("family") not in families:
        raise AssetError(f"{path} is not a pose prior's weight file of this version of kinflow")
    known = [space.label for space in SPACES.values()]
    if header["pose_space"] not in known:
        raise AssetError(
            f"{path} holds a prior over {header['pose_space']!r} poses; this needs "
            f"{' or '.join(known)}"
        )
    try:
        family = families[header["family"]]
        stored = header["info"]
        percentiles = tuple(stored.pop("calibration_nats", ()))
        info = PriorInfo(**stored, calibration_nats=percentiles)
        prior = family.from_state(tensors, header["settings"], info)
        if prior.pose_space != header["pose_space"]:
            raise KeyError("pose_space")
        return prior
    except (KeyError, TypeError, RuntimeError) as error:
        raise AssetError(f"{path} is damaged: its weights do not fit its header") from error
