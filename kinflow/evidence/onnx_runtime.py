"""onnxruntime with its reports of usage switched off: the one place that imports it.

`kinflow/__init__.py` has set `ORT_DISABLE_TELEMETRY`, which onnxruntime reads when it is imported.
Where a program imported onnxruntime before kinflow that was too late; what can be stopped after
the import is stopped here.
"""

import onnxruntime

# releases before 1.29 have nothing to switch off on Linux and macOS, and some no such function
_switch_off = getattr(onnxruntime, "disable_telemetry_events", None)
if _switch_off is not None:
    _switch_off()

__all__ = ["onnxruntime"]
