"""The bundled detector networks, ready to run."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinflow.assets import asset_path
from kinflow.checks import whole, words
from kinflow.errors import InputError

ERRORS_ONLY = 3


@dataclass(frozen=True)
class RuntimeConfig:
    """How the networks run."""

    threads: int = 0
    """Threads per network; 0 leaves the number to onnxruntime (all physical cores)."""
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    """onnxruntime execution providers in order of preference."""

    def __post_init__(self) -> None:
        whole(self, "threads", at_most=1024)
        words(self, "providers", "a tuple of onnxruntime's execution providers by name")


def _onnxruntime() -> Any:
    # who runs networks in torch needs none of it
    from kinflow.evidence.onnx_runtime import onnxruntime

    return onnxruntime


class Network:
    """One bundled network; any number of threads may run it at once.

    Args:
        name: file of the network.
        config: how it runs.
        kept_px: what a run takes is kept for the next one, which is quicker; after inputs of more
            pixels than this it is given back.

    Raises:
        AssetError: the file is missing or altered.
        InputError: there is no execution provider of such a name.
    """

    def __init__(self, name: str, config: RuntimeConfig, kept_px: int = 1 << 20) -> None:
        self._name, self._config, self._kept_px = name, config, kept_px
        self._open()

    def run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs by name, each of the first image of a batch of one."""
        session = self._session if self._process == os.getpid() else self._open()
        options = None
        if image.shape[1] * image.shape[2] > self._kept_px:
            options = _onnxruntime().RunOptions()
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        values = session.run(self._outputs, {"image": image}, options)
        return {
            name: np.asarray(value)[0] for name, value in zip(self._outputs, values, strict=True)
        }

    def _open(self) -> Any:
        onnxruntime = _onnxruntime()
        known = onnxruntime.get_all_providers()
        if unknown := [name for name in self._config.providers if name not in known]:
            raise InputError(
                f"onnxruntime knows no execution provider {unknown[0]!r}; its providers are "
                f"{', '.join(known)}."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._config.threads
        options.log_severity_level = ERRORS_ONLY
        # patterns would reserve memory for every size of input, and are no quicker
        options.enable_mem_pattern = False
        # Threads that wait in a busy loop would take the processor from whatever runs in between.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = asset_path(f"evidence/{self._name}")
        session = onnxruntime.InferenceSession(
            str(path), options, providers=list(self._config.providers)
        )
        previous = vars(self).get("_session")
        if previous is not None:
            # Its threads did not come along in a fork; closing it would wait for them for ever.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(previous))
        self._outputs = [output.name for output in session.get_outputs()]
        self._session, self._process = session, os.getpid()
        return session

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self._name, "config": self._config, "kept_px": self._kept_px}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)
