"""Networks from what a detector saw to a distribution over pose, shape, orientation and place."""

from kinflow.predictors.looks import Looks
from kinflow.predictors.posterior import Posterior
from kinflow.predictors.predictor import DEFAULT, Predictor, PredictorInfo

__all__ = ["DEFAULT", "Looks", "Posterior", "Predictor", "PredictorInfo"]
