"""Training of the networks in `kinflow.predictors`."""
