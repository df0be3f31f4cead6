"""Real photos and one detector for all tests of the evidence."""

import numpy as np
import pytest
import skimage.data

from kinflow.evidence.detector import DetectorConfig, EvidenceDetector
from kinflow.evidence.weights import RuntimeConfig


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()


@pytest.fixture(scope="session")
def detector() -> EvidenceDetector:
    return EvidenceDetector(DetectorConfig(RuntimeConfig(threads=2), silhouette=True))
