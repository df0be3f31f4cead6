"""Maps of the parts of kinflow's bodies, in the windows in which the truth has its maps.

Labels of parts come for the box of a person as often as for the whole picture, stretched to a grid
of their own, so bodies are drawn straight into the truth's window and grid. People of one frame
hide each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8

from kinflow.datasets.person_rows import PersonRows
from kinflow.errors import InputError
from kinflow.evaluation.protocols.matching import box_overlap, frames_of
from kinflow.evidence.assignment import assign
from kinflow.export.bodies import Bodies
from kinflow.geometry.rasterizer import rasterize
from kinflow.results import Person

Place = tuple[str, int]
_NOWHERE = (0.0, 0.0, 1.0, 1.0)
"""The window of somebody whom the truth does not have."""


def part_maps(
    people: Sequence[Person],
    places: Sequence[Place],
    boxes_px: Float[np.ndarray, "people 4"],
    truth: PersonRows,
) -> tuple[UInt8[np.ndarray, "people height width"], Float[np.ndarray, "people 4"]]:
    """A map of parts for each body, and the window that it covers.

    Args:
        people: bodies in any order.
        places: the sequence and frame of each.
        boxes_px: the box of each, which says whose window it gets.
        truth: rows with `parts` or `silhouette`, and `box_px` where they have windows.

    Raises:
        InputError: the truth has no maps, or windows without boxes.
    """
    name = next((n for n in ("parts", "silhouette") if n in truth), None)
    if name is None:
        raise InputError(f"The truth '{truth.name}' has neither parts nor silhouette to draw like.")
    if "window_px" in truth and "box_px" not in truth:
        raise InputError(
            f"The truth '{truth.name}' has window_px, but no box_px to find people by."
        )
    height, width = truth[name].shape[1:]
    maps = np.zeros((len(people), height, width), np.uint8)
    windows = np.tile(np.array(_NOWHERE), (len(people), 1))
    known = frames_of(truth, np.arange(len(truth)))
    for place, rows in _grouped(places).items():
        if place not in known:
            continue
        bodies = Bodies.of([people[row] for row in rows])
        for index, window in _windows(truth, known[place], boxes_px[rows], bodies).items():
            windows[rows[index]] = window
            maps[rows[index]] = _drawn(bodies, index, window, (width, height))
    return maps, windows


def _grouped(places: Sequence[Place]) -> dict[Place, list[int]]:
    groups: dict[Place, list[int]] = {}
    for row, place in enumerate(places):
        groups.setdefault(place, []).append(row)
    return groups


def _windows(
    truth: PersonRows,
    true_rows: list[int],
    boxes_px: Float[np.ndarray, "bodies 4"],
    bodies: Bodies,
) -> dict[int, np.ndarray]:
    """The window of each body of a frame that has one: the picture, or that of the truth's person
    whose box it overlaps."""
    if "window_px" not in truth:
        picture = np.array([0.0, 0.0, *map(float, bodies.people[0].camera.image_size)])
        return dict.fromkeys(range(len(boxes_px)), picture)
    cost = 1 - box_overlap(truth["box_px"][true_rows].astype(np.float64), boxes_px)
    pairs = assign(np.where(cost < 1, cost, np.inf), 1.0)
    return {body: truth["window_px"][true_rows[row]].astype(np.float64) for row, body in pairs}


def _drawn(
    bodies: Bodies, index: int, window: np.ndarray, size: tuple[int, int]
) -> UInt8[np.ndarray, "height width"]:
    """Parts of one body of a frame where nobody else hides it, on the grid of a window."""
    camera = bodies.people[index].camera
    points = torch.from_numpy(bodies.vertices_cam_m).flatten(0, 1)
    scale = np.array(size) / np.maximum(window[2:], 1e-6)
    places = (camera.project(points).numpy() - window[:2]) * scale
    raster = rasterize(places, points[:, 2].numpy(), bodies.stacked_faces(), size)
    owner, face = np.divmod(raster.face, len(bodies.faces))
    part = bodies.face_parts[face].astype(np.uint8)
    return np.where((owner == index) & raster.covered, part, np.uint8(0)).astype(np.uint8)
