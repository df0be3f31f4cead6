"""Rotations, the pinhole camera, grids over its image and the rasteriser that draws meshes."""

from kinflow.geometry.image_grid import ImageGrid as ImageGrid
from kinflow.geometry.pinhole import Camera as Camera
