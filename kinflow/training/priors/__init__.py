"""`kinflow train prior`: pose priors from pose sets."""
