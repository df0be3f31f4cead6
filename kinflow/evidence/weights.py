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


class Network:
    """One bundled network; any number of threads may run it at once.

    Args:
        name: file of the network.
        config: how it runs.
        keep_memory: keep what a run took for the next one, which is quicker. For inputs of any
            size that would be the most that a network ever took.

    Raises:
        AssetError: the file is missing or altered.
        InputError: there is no execution provider of such a name.
    """

    def __init__(self, name: str, config: RuntimeConfig, keep_memory: bool = True) -> None:
        self._name, self._config, self._keep_memory = name, config, keep_memory
        self._open()

    def run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs by name, each of the first image of a batch of one."""
        session = self._session if self._process == os.getpid() else self._open()
        values = session.run(self._outputs, {"image": image})
        return {
            name: np.asarray(value)[0] for name, value in zip(self._outputs, values, strict=True)
        }

    def _open(self) -> Any:
        # who runs networks in torch needs none of it
        from kinflow.evidence.onnx_runtime import onnxruntime

        known = onnxruntime.get_all_providers()
        if unknown := [name for name in self._config.providers if name not in known]:
            raise InputError(
                f"onnxruntime knows no execution provider {unknown[0]!r}; its providers are "
                f"{', '.join(known)}."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._config.threads
        options.log_severity_level = ERRORS_ONLY
        options.enable_cpu_mem_arena = self._keep_memory
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
        return {"name": self._name, "config": self._config, "keep_memory": self._keep_memory}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)
