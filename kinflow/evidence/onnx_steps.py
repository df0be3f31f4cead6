"""A bundled ONNX network as a list of steps that torch can take.

Only what `tools/convert_evidence_weights.py` writes is understood. Two patterns that are slow when
they are taken literally are rewritten: padding of zeros goes into the convolution that reads it,
and where a narrow value is padded with channels of zeros to be added to a wide one, only the
channels that are there are added.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.errors import InputError

FLOAT = 1
"""ONNX's number of float32."""
_SETTINGS = frozenset({"Clip", "Pad", "Reshape", "ReduceSum", "Resize"})
"""Operators whose inputs after the first are constants that say how, not what."""
_FRESH = frozenset({"Conv", "Add", "AddNarrow", "Mul", "Clip", "Relu", "MaxPool", "Resize"})
"""Operators whose output shares no memory with their inputs, or takes it over."""
_LAYOUT = frozenset({"Transpose", "Reshape", "Identity", "Sigmoid"})
"""Operators between a head and its output."""


@dataclass(frozen=True)
class Step:
    """One operation."""

    operator: str
    inputs: tuple[str, ...]
    """Values that were computed before, or constants."""
    output: str
    settings: tuple[list, ...] = ()
    """Constants that say how (see ONNX's description of the operator), as plain numbers."""
    attributes: dict[str, Any] = field(default_factory=dict)
    reuses: bool = False
    """Whether the first input's memory may take the output: nobody else reads it."""


@dataclass(frozen=True)
class StepGraph:
    """A network."""

    steps: tuple[Step, ...]
    """In an order in which they can be taken."""
    constants: dict[str, np.ndarray]
    """By name, in the types in which the file stores them."""
    image: str
    """Name of the input."""
    outputs: tuple[str, ...]

    def heads(self) -> frozenset[str]:
        """The convolutions, by output, after which only the layout of an output changes."""
        onward: dict[str, list[Step]] = {}
        for step in self.steps:
            for name in step.inputs:
                onward.setdefault(name, []).append(step)

        def ends(name: str) -> bool:
            steps = onward.get(name, [])
            return all(step.operator in _LAYOUT and ends(step.output) for step in steps)

        return frozenset(s.output for s in self.steps if s.operator == "Conv" and ends(s.output))


def read_steps(path: Path) -> StepGraph:
    """Read a network.

    Raises:
        InputError: the package onnx is not installed.
    """
    try:
        import onnx  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise InputError(
            "running the detector's networks in torch takes onnx: pip install 'kinflow[train]'"
        ) from error
    graph = onnx.load(str(path)).graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    steps = []
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in constants:
            constants[node.output[0]] = constants.pop(node.input[0])
            continue
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        inputs, settings = tuple(node.input), ()
        if node.op_type in _SETTINGS:
            settings = tuple(constants[name].tolist() for name in inputs[1:] if name)
            inputs = inputs[:1]
        steps.append(Step(node.op_type, inputs, node.output[0], settings, attributes))
    outputs = tuple(output.name for output in graph.output)
    for rewrite in (_pad_in_convolutions, _add_narrow, _reuse_memory):
        steps = rewrite(steps)
    read = {name for step in steps for name in step.inputs}
    constants = {name: value for name, value in constants.items() if name in read}
    return StepGraph(tuple(steps), constants, graph.input[0].name, outputs)


def _readers(steps: list[Step]) -> Counter[str]:
    return Counter(name for step in steps for name in step.inputs)


def _pad_in_convolutions(steps: list[Step]) -> list[Step]:
    """Padding of rows and columns that only a convolution reads becomes that convolution's own."""
    readers = _readers(steps)
    padded = {
        step.output: step
        for step in steps
        if step.operator == "Pad" and readers[step.output] == 1 and not _widens(step)
    }
    gone, result = set(), []
    for step in steps:
        pad = padded.get(step.inputs[0]) if step.operator == "Conv" else None
        if pad is not None:
            own = [pad.settings[0][i] for i in (2, 3, 6, 7)]  # top, left, bottom, right
            pads = [a + b for a, b in zip(step.attributes["pads"], own, strict=True)]
            step = replace(
                step,
                inputs=(*pad.inputs, *step.inputs[1:]),
                attributes={**step.attributes, "pads": pads},
            )
            gone.add(pad.output)
        result.append(step)
    return [step for step in result if step.output not in gone]


def _add_narrow(steps: list[Step]) -> list[Step]:
    """Addition of what was padded with channels becomes addition to the first channels."""
    readers = _readers(steps)
    made_by = {step.output: step for step in steps}
    gone, result = set(), []
    for step in steps:
        if step.operator == "Add":
            first, second = (made_by.get(name) for name in step.inputs)
            for wide, pad in ((first, second), (second, first)):
                if (
                    wide is not None
                    and pad is not None
                    and pad.operator == "Pad"
                    and _widens(pad)
                    and readers[pad.output] == readers[wide.output] == 1
                    and wide.operator in _FRESH
                ):
                    step = Step("AddNarrow", (wide.output, *pad.inputs), step.output)
                    gone.add(pad.output)
                    break
        result.append(step)
    return [step for step in result if step.output not in gone]


def _widens(pad: Step) -> bool:
    """Whether zeros are added after the last channel, and nowhere else."""
    return [i for i, size in enumerate(pad.settings[0]) if size] == [5]


def _reuse_memory(steps: list[Step]) -> list[Step]:
    """Mark the additions and activations that may write over their first input."""
    readers = _readers(steps)
    fresh = {step.output for step in steps if step.operator in _FRESH}
    return [
        replace(step, reuses=step.inputs[0] in fresh and readers[step.inputs[0]] == 1)
        for step in steps
    ]
