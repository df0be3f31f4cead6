"""`viewer.html` of a photo: one self-contained page that turns the bodies, with the photo behind.

The page holds the photo (JPEG), the vertices of every person and of the alternatives to them as
16-bit steps of their bounding box (finer than 0.1 mm), how uncertain each vertex is, and the
triangles once. The page of a clip is made by `kinflow.export.viewer_clip`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from torch import Tensor

from kinflow.export.bodies import Bodies
from kinflow.export.colors import person_color
from kinflow.export.viewer_page import (
    base64_of,
    camera_of,
    doubt_bytes,
    page,
    photo_url,
    quantised,
    up_of,
)
from kinflow.fitting.calibration import TEMPERATURE
from kinflow.results import RESULT_SENTENCES, Hypothesis, Person, Reconstruction

MOST_ALTERNATIVES = 4
"""Of each person, the best ones."""


def viewer_html(
    image_rgb: UInt8[np.ndarray, "height width 3"],
    reconstruction: Reconstruction,
    bodies: Bodies | None = None,
    files: Sequence[str] = (),
) -> bytes:
    """Content of `viewer.html` for the people of one frame.

    Args:
        image_rgb: the photo that was reconstructed.
        reconstruction: people, camera and gravity.
        bodies: their meshes, where they are known already.
        files: names of what lies beside the page.

    Raises:
        InputError: the reconstruction is of several frames.
    """
    frame = reconstruction.only_frame
    if bodies is None and reconstruction.people:
        bodies = Bodies.of(reconstruction.people)
    scene = {
        "camera": camera_of(frame.camera),
        "up": up_of(frame),
        "floor": -frame.floor.height_m if frame.floor else None,
        "photo": photo_url(image_rgb),
        "faces": base64_of(bodies.faces.astype("<u2")) if bodies else "",
        "people": _people(bodies) if bodies else [],
    }
    return page(scene, reconstruction.source, files)


def _people(bodies: Bodies) -> list[dict[str, Any]]:
    return [
        {
            "name": f"Person {person.person}",
            "note": f"{RESULT_SENTENCES[person.code]} Detection score {person.score:.2f}.",
            "facts": _facts(person),
            "color": person_color(person.person),
            **_posed(vertices_m, person.joints_cam_m),
            "doubts": base64_of(doubt_bytes(person.joint_std_m)),
            "vertex_doubts": base64_of(
                doubt_bytes(person.model.skin_weights.float() @ person.joint_std_m.float())
            ),
            "alternatives": _alternatives(person),
        }
        for person, vertices_m in zip(bodies.people, bodies.vertices_cam_m, strict=True)
    ]


def _posed(vertices_m: Float32[np.ndarray, "vertices 3"], joints_m: Tensor) -> dict[str, Any]:
    joints = base64_of(joints_m.numpy().astype("<f4"))
    return {**quantised(vertices_m, "positions"), "joints": joints}


def _facts(person: Person) -> list[str]:
    height = f"{person.measures().height_m:.2f}"
    if not math.isnan(person.height_std_m):
        height += f" ± {person.height_std_m:.2f}"
    away, std = float(person.t_cam_root_m[2]), float(person.t_cam_root_std_m[2])
    return [f"Height {height} m, distance {away:.1f} ± {std:.1f} m."]


def _alternatives(person: Person) -> list[dict[str, Any]]:
    """Other bodies, each with a weight that is 1 for the best of them.

    Energies of alternatives are those before parts, and so is that of a person who has no such
    term; only then the two compare.
    """
    own = None if "parts" in person.energy or not person.energy else sum(person.energy.values())
    found = []
    for other in person.hypotheses[:MOST_ALTERNATIVES]:
        posed = replace(
            person,
            R_cam_root=other.R_cam_root,
            t_cam_root_m=other.t_cam_root_m,
            pose=other.pose,
            shape=other.shape,
        ).body()
        weight = math.exp((person.hypotheses[0].energy - other.energy) / TEMPERATURE)
        found.append(
            {
                **_posed(posed.vertices_m().numpy(), posed.joints_m),
                "weight": round(min(1.0, weight), 4),
                "note": _energy(other, person.hypotheses[0], own),
            }
        )
    return found


def _energy(other: Hypothesis, best: Hypothesis, own: float | None) -> str:
    if own is not None:
        return f"energy {other.energy:.1f} nats, {other.energy - own:+.1f} against the body shown"
    if other is best:
        return f"energy {other.energy:.1f} nats"
    return f"energy {other.energy:.1f} nats, {other.energy - best.energy:+.1f} against the first"
