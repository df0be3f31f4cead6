"""What the detector's networks say of pictures that they have seen before, which tests share.

Most tests look at the same few pictures, and to look is a third of their time. What is given again
is what the network itself has said of exactly these pixels in this process. Nor is a network's file
opened again by everybody who looks. Tests of how networks run ask for `networks_run_each_time`;
commands that tests start know nothing of this.

Nor is what fits by the models that ship made again for everybody who asks for it. Tests of how it
is made ask for `fitters_made_each_time`.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from kinflow.evidence.weights import Network
from kinflow.fitting.photo import PhotoFitter
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig

KEPT_FITTERS = 8
KEPT_BYTES = 300 << 20


class SeenBefore:
    """Answers of networks by their names and what they were shown; the oldest are forgotten."""

    def __init__(self, run: Callable[[Network, np.ndarray], dict[str, np.ndarray]]) -> None:
        self._run = run
        self._answers: OrderedDict[Any, dict[str, np.ndarray]] = OrderedDict()
        self._bytes = 0

    def __call__(self, network: Network, image: np.ndarray) -> dict[str, np.ndarray]:
        """`Network.run`."""
        pixels = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=20).digest()
        key = (network._name, network._config, image.shape, image.dtype, pixels)
        answer = self._answers.pop(key, None)
        if answer is None:
            answer = self._run(network, image)
            self._bytes += size(answer)
        self._answers[key] = answer
        while self._bytes > KEPT_BYTES:
            self._bytes -= size(self._answers.popitem(last=False)[1])
        return {name: values.copy() for name, values in answer.items()}


class OpenBefore:
    """Sessions of networks that are open in this process; any number of threads may run one."""

    def __init__(self, open_: Callable[[Network], Any]) -> None:
        self._open = open_
        self._sessions: dict[Any, tuple[Any, list[str]]] = {}

    def __call__(self, network: Network) -> Any:
        """`Network._open`."""
        key = (network._name, network._config, network._kept_px, os.getpid())
        if key not in self._sessions:
            self._sessions[key] = self._open(network), network._outputs
        network._session, network._outputs = self._sessions[key]
        network._process = os.getpid()
        return network._session


class FittersBefore:
    """Fitters of photos by what they are made of, where that ships; the oldest are forgotten."""

    def __init__(self, make: Callable[[Reconstructor], PhotoFitter]) -> None:
        self._make = make
        self._fitters: OrderedDict[Any, PhotoFitter] = OrderedDict()

    def __call__(self, reconstructor: Reconstructor) -> PhotoFitter:
        """`Reconstructor.fitter`."""
        config, usual = reconstructor.config, ReconstructorConfig()
        if config.body or config.prior != usual.prior:
            return self._make(reconstructor)
        if config.predictor not in (usual.predictor, None):
            return self._make(reconstructor)
        key = (config.fit, str(config.device), config.follows_parts, config.predictor, os.getpid())
        fitter = self._fitters.pop(key, None) or self._make(reconstructor)
        self._fitters[key] = fitter
        if len(self._fitters) > KEPT_FITTERS:
            self._fitters.popitem(last=False)
        return fitter


def size(answer: dict[str, np.ndarray]) -> int:
    return sum(values.nbytes for values in answer.values())
