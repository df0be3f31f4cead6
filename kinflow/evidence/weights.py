"""Sessions of the bundled detector networks."""

from __future__ import annotations

from dataclasses import dataclass

import onnxruntime

from kinflow.assets import asset_path

ERRORS_ONLY = 3


@dataclass(frozen=True)
class RuntimeConfig:
    """How the networks run."""

    threads: int = 0
    """Threads per network; 0 leaves the number to onnxruntime (all physical cores)."""
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    """onnxruntime execution providers in order of preference."""


def open_session(
    name: str, config: RuntimeConfig, keep_memory: bool = True
) -> onnxruntime.InferenceSession:
    """Load one bundled network; raises `AssetError` when its file is missing or altered.

    Args:
        name: file of the network.
        config: how it runs.
        keep_memory: keep what a run took for the next one, which is quicker. For inputs of any
            size that would be the most that a network ever took.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.log_severity_level = ERRORS_ONLY
    options.enable_cpu_mem_arena = keep_memory
    # Threads that wait in a busy loop would take the processor from whatever runs in between.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = asset_path(f"evidence/{name}")
    return onnxruntime.InferenceSession(str(path), options, providers=list(config.providers))
