"""Readers of the field's datasets in their official layouts."""
