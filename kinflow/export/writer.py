"""Writes the result folder of one photo: all formats at once, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import UInt8
from typing_extensions import assert_never

from kinflow.export.atomic import new_folder, write_bytes
from kinflow.export.bodies import Bodies
from kinflow.export.fields import Fields, to_fields
from kinflow.export.gltf import JointNaming, scene_glb
from kinflow.export.overlay import bodies_layer, draw_overlay
from kinflow.export.people_files import JSON_NAME, NPZ_NAME, json_bytes, npz_bytes
from kinflow.export.side_view import beside, draw_side_view
from kinflow.export.viewer import viewer_html
from kinflow.reconstruction import Reconstruction

Format = Literal["npz", "json", "overlay", "glb", "viewer"]

ALL_FORMATS: tuple[Format, ...] = ("npz", "json", "overlay", "glb", "viewer")
