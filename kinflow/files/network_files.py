"""Weight files of networks: what every reader of one does before and after it builds its own."""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor

from kinflow.errors import InputError
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import header_json, read_tensors

Header: TypeAlias = dict[str, Any]
Built = TypeVar("Built")


def read_network(
    path: Path | str,
    content: str,
    formats: Container[str],
    build: Callable[[Header, dict[str, Tensor]], Built],
    trusted: bool = False,
) -> Built:
    """What a weight file holds; the random numbers of others stay as they are.

    Args:
        path: the file.
        content: what it should hold, with its article: "a part parser".
        formats: values of `format` in its header that are read.
        build: makes it of the header and the tensors; its `InputError` says what is wrong.
        trusted: the file has been compared with a checksum already.

    Raises:
        InputError: the file is missing, damaged, of another kind or of another version.
    """
    what = f"a readable weight file of {content}"
    texts, tensors = read_tensors(path, what=what, trusted=trusted)
    header = header_json(texts, "kinflow", path) if "kinflow" in texts else {}
    if str(header.get("format")) not in formats:
        raise InputError(f"'{path}' does not hold {content} of this version of kinflow.")
    with guarded(path, what), torch.random.fork_rng(devices=[]):
        try:
            return build(header, tensors)
        except InputError as error:
            raise InputError(f"'{path}' is damaged or not of kinflow: {error}.") from error
