"""What this machine and this installation are, as lines of `name: value`."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from kinflow.about.packages import PROJECT, complete_extras
from kinflow.about.weights import shipped_files
from kinflow.errors import KinflowError
from kinflow.version import __version__

_DECIDE = ("torch", "numpy", "scipy", "pillow", "opencv-python-headless", "onnxruntime", "tyro")
"""Packages whose versions change results or errors."""
_OPENCVS = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
_SETTINGS = (
    "KINFLOW_CACHE",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "PYTORCH_ENABLE_MPS_FALLBACK",
    "OPENCV_FFMPEG_CAPTURE_OPTIONS",
    "PYTHONOPTIMIZE",
    "LC_ALL",
    "LANG",
)
"""Variables of the environment that change what happens."""

Lines = list[tuple[str, str]]


def installation() -> Lines:
    """Versions of kinflow, Python and what kinflow stands on."""
    lines = [("kinflow", f"{__version__}, {_way()}"), ("files that ship", _files())]
    lines.append(("Python", f"{platform.python_implementation()} {platform.python_version()}"))
    lines += [(name, _version(name)) for name in _DECIDE]
    # two OpenCVs share one folder, and the one that was installed last wins
    lines += [(name, _version(name)) for name in _OPENCVS if _version(name) != "missing"]
    lines.append(("extras", _extras()))
    return lines


def machine() -> Lines:
    """System, processor, memory and GPUs."""
    lines = [
        ("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("processor", f"{_processor()}, {_cores()} cores for this process"),
        ("memory", _memory()),
        ("encodings", f"{sys.getfilesystemencoding()}, {sys.stdout.encoding}"),
    ]
    return lines + [("GPU", gpu) for gpu in _gpus()]


def settings() -> Lines:
    """Variables of the environment that are set."""
    return [(name, os.environ[name]) for name in _SETTINGS if name in os.environ]


def _way() -> str:
    """How kinflow came here."""
    try:
        installed = distribution(PROJECT)
    except PackageNotFoundError:
        return "run from a folder"
    if '"editable": true' in (installed.read_text("direct_url.json") or ""):
        return "installed in editable mode"
    return "installed"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _files() -> str:
    try:
        files = shipped_files()
    except KinflowError as error:
        return str(error)
    wrong = [f"{file.name}: {file.problem}" for file in files if file.problem]
    return "; ".join(wrong) or f"{len(files)}, all as they should be"


def _extras() -> str:
    try:
        return ", ".join(extra for extra in complete_extras() if extra != "dev") or "none"
    except KinflowError:
        return "not known"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "not known"
    return f"{size / 1e9:.1f} GB"


def _gpus() -> list[str]:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return [f"{name}, CUDA {torch.version.cuda}" for name in names]
    if torch.backends.mps.is_available():
        return ["MPS"]
    return [f"none that torch {torch.__version__} can use"]
