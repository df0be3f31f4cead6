"""The version, on its own, so that what writes it into files need not import the whole package."""

__version__ = "0.2.0"
