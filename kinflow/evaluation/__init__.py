"""Protocols by which priors and fits are measured; knows every other package."""
