"""The datasets that can be read, by name. A reader's module is imported when it is asked for."""

from __future__ import annotations

import importlib

from kinflow.datasets.readers.reader import Reader
from kinflow.errors import InputError

READERS: dict[str, str] = {
    "3dpw": "kinflow.datasets.readers.threedpw:ThreeDPW",
    "agora": "kinflow.datasets.readers.agora:Agora",
    "amass": "kinflow.datasets.readers.amass:Amass",
    "bedlam": "kinflow.datasets.readers.bedlam:Bedlam",
    "cmu": "kinflow.datasets.readers.cmu:Cmu",
    "coco": "kinflow.datasets.readers.coco:Coco",
    "coco-densepose": "kinflow.datasets.readers.coco:CocoDensePose",
    "coco-wholebody": "kinflow.datasets.readers.coco:CocoWholeBody",
    "emdb": "kinflow.datasets.readers.emdb:Emdb",
    "folder": "kinflow.datasets.readers.folder:Folder",
    "h36m": "kinflow.datasets.readers.h36m:H36m",
    "lsp": "kinflow.datasets.readers.lsp:Lsp",
    "lspet": "kinflow.datasets.readers.lsp:Lspet",
    "mpi-inf-3dhp": "kinflow.datasets.readers.mpi_inf_3dhp:MpiInf3dhp",
    "mpii": "kinflow.datasets.readers.mpii:Mpii",
    "open-images": "kinflow.datasets.readers.open_images:OpenImages",
    "shards": "kinflow.datasets.shards.reader:ShardFolder",
}
"""Name as typed to module and class."""


def reader_of(name: str) -> Reader:
    """The reader of this name.

    Raises:
        InputError: there is none, or a package that it needs is not installed.
    """
    if name not in READERS:
        raise InputError(f"No dataset is called '{name}'; there are: {', '.join(READERS)}.")
    module, kind = READERS[name].split(":")
    try:
        return getattr(importlib.import_module(module), kind)()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("kinflow"):
            raise
        raise InputError(
            f"Reading '{name}' needs the package '{error.name}': pip install 'kinflow[datasets]'."
        ) from error
