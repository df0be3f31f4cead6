"""kinflow: photos and videos of people to posed, shaped 3D bodies."""

__version__ = "0.1.0"
