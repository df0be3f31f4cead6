"""Files of `torch.save` that nobody vouches for, as plain data: tensors become numpy arrays.

Such a file is a zip archive of a pickle and of the bytes of its tensors, one entry each. The pickle
is interpreted as all pickles here are (`plain_pickle`), so nothing in it is imported or called, and
torch itself is not asked.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from kinflow.errors import InputError
from kinflow.files.npz_files import is_archive
from kinflow.files.pickled_arrays import storage_of
from kinflow.files.pickled_names import Name
from kinflow.files.plain_pickle import parse_plain
from kinflow.files.reading import check_file, guarded

MAX_TORCH_BYTES = 1 << 30
_WHAT = "a file of torch.save"
_PICKLE = "data.pkl"
_MAX_ENTRIES = 100_000


def load_torch(path: Path | str) -> Any:
    """The content of a file of `torch.save`, of torch 1.6 or newer.

    Returns:
        what `kinflow.files.plain_pickle.load_plain` would, with tensors as arrays.

    Raises:
        InputError: the file cannot be read, is none, or needs anything else than that.
    """
    check_file(path, MAX_TORCH_BYTES)
    if not is_archive(path):
        raise InputError(
            f"'{path}' is not {_WHAT} of torch 1.6 or newer; load it in Python and save it again, "
            "or save its arrays as .npz."
        )
    with guarded(path, _WHAT), zipfile.ZipFile(path) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        if len(entries) > _MAX_ENTRIES or sum(e.file_size for e in entries.values()) > (
            MAX_TORCH_BYTES
        ):
            raise InputError(f"'{path}' unpacks to more than {MAX_TORCH_BYTES / 1e6:.0f} MB.")
        pickles = [name for name in entries if name.rpartition("/")[2] == _PICKLE]
        if len(pickles) != 1:
            raise InputError(f"'{path}' is not {_WHAT}: it has no {_PICKLE}.")
        folder = pickles[0].removesuffix(_PICKLE)

        read: dict[str, Any] = {}

        def storage(reference: Any) -> Any:
            """The numbers of ("storage", type, key, device, count)."""
            readable = type(reference) is tuple and len(reference) == 5
            if not readable or reference[0] != "storage" or not isinstance(reference[1], Name):
                raise InputError("it refers to something that is no storage of numbers.")
            name = f"{folder}data/{reference[2]}"
            if type(reference[2]) is not str or name not in entries:
                raise InputError("it refers to a storage that is not in the file.")
            if name not in read:
                read[name] = archive.read(name)
            return storage_of(reference[1].name, read[name])

        size = sum(info.file_size for info in entries.values())
        return parse_plain(archive.read(pickles[0]), path, storage, size)
