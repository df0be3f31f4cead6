"""Pinhole camera and the rasteriser that draws meshes through it."""

from kinflow.camera.pinhole import Camera as Camera
