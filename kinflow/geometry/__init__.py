"""Rotations, the pinhole camera and the rasteriser that draws meshes through it."""

from kinflow.geometry.pinhole import Camera as Camera
