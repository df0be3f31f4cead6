"""kinflow: photos of people to posed, shaped 3D bodies."""

import os

from kinflow.version import __version__ as __version__

# typing takes longer to import than all of this package that --version needs
TYPE_CHECKING = False

__all__ = [
    "Frame",
    "Person",
    "Reconstruction",
    "Reconstructor",
    "ReconstructorConfig",
    "Track",
    "load",
    "reconstruct",
]

if TYPE_CHECKING:
    from kinflow.api import Reconstructor as Reconstructor
    from kinflow.api import ReconstructorConfig as ReconstructorConfig
    from kinflow.api import reconstruct as reconstruct
    from kinflow.export.people_files import load as load
    from kinflow.results import Frame as Frame
    from kinflow.results import Person as Person
    from kinflow.results import Reconstruction as Reconstruction
    from kinflow.results import Track as Track

# onnxruntime reports usage over the network, and keeps a device id in the home folder, unless it is
# told not to before its first import; here is the one place that runs before any of ours
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_HOMES = {
    "Frame": "kinflow.results",
    "Person": "kinflow.results",
    "Reconstruction": "kinflow.results",
    "Reconstructor": "kinflow.api",
    "ReconstructorConfig": "kinflow.api",
    "Track": "kinflow.results",
    "load": "kinflow.export.people_files",
    "reconstruct": "kinflow.api",
}


def __getattr__(name: str):
    # torch takes a second to import; `kinflow --help` does not wait for it
    if name not in _HOMES:
        raise AttributeError(f"module 'kinflow' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
