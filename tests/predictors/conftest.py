"""A small predictor that has learned nothing."""

import pytest
import torch
from random_looks import SMALL

from kinflow.predictors import Predictor, PredictorInfo


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        predictor = Predictor(SMALL, PredictorInfo(command="none")).eval()
        for parameter in predictor.parameters():  # an untrained one is the same for everybody
            torch.nn.init.normal_(parameter, std=0.05) if parameter.dim() > 1 else None
        for mixing in predictor.network.flow.mixings:
            torch.nn.init.eye_(mixing.packed_lu)
            mixing.packed_lu.data += 0.1 * torch.randn_like(mixing.packed_lu)
    return predictor.requires_grad_(False)
