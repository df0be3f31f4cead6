"""Scenes and worlds as samples, the one type that readers of datasets yield too."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.part_maps import UNKNOWN_ID
from kinflow.body.part_mesh import PartMesh
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import (
    BodyLabel,
    CalibratedCamera,
    Joints3D,
    Keypoints2D,
    Mask,
    PartMapLabel,
    Picture,
)
from kinflow.geometry.pinhole import Camera
from kinflow.synth.picture import box_around, to_image
from kinflow.synth.scene import Scene
from kinflow.synth.world import World, WorldPerson
from kinflow.synth.world_depth import Drawn, draw, draw_boxes

_LICENCE = "made by kinflow; no terms"
_PALETTE = "kinflow"


def scene_sample(scene: Scene, key: str, picture: Picture | None = None) -> Sample:
    """The truth of a scene.

    Parts are those of the naked body where nothing hides it, 255 elsewhere in the grid; the mask is
    that of the dressed person as far as nothing hides them.

    Args:
        scene: to turn into a sample.
        key: its name.
        picture: where its picture was written to, if anywhere.
    """
    labels = np.where(scene.known.numpy(), scene.parts.numpy(), UNKNOWN_ID).astype(np.uint8)
    x0, y0, x1, y1 = scene.grid.box_px
    shown = to_image((scene.dressed & scene.known).numpy(), scene)
    return _sample(
        "synth-scene",
        key,
        picture,
        scene.camera,
        scene,
        scene.keypoint_visible,
        parts=PartMapLabel(_PALETTE, labels, (x0, y0, x1 - x0, y1 - y0)),
        shown=shown.astype(bool),
    )


def world_samples(
    world: World, key: str, mesh: PartMesh, picture: Picture | None = None
) -> list[Sample]:
    """The truth of everybody in a world, in the order of `world.people`.

    Parts and masks are those of the naked body; where somebody or something is before it, parts are
    255 and the mask is off.

    Args:
        world: to turn into samples.
        key: its name, to which the number of the person is added.
        mesh: that parts are drawn from, `WorldPainter.load().mesh` or a coarser one.
        picture: where its picture was written to, if anywhere.
    """
    drawn = [draw(p.posed(mesh.body).vertices_m(), mesh.faces, world.camera) for p in world.people]
    boxes = draw_boxes(world.boxes, world.R_cam_world, world.t_cam_world_m, world.camera)
    samples = []
    for i, person in enumerate(world.people):
        others = [boxes, *(other for k, other in enumerate(drawn) if k != i)]
        parts, shown = _seen(drawn[i], others, mesh)
        samples.append(
            _sample(
                "synth-world",
                f"{key}/{i}",
                picture,
                world.camera,
                person,
                person.keypoint_visible,
                parts=parts,
                shown=shown,
                up=world.up_cam,
            )
        )
    return samples


def _seen(
    own: Drawn, others: list[Drawn], mesh: PartMesh
) -> tuple[PartMapLabel | None, Bool[np.ndarray, "height width"]]:
    """Parts in a box around what the image has of a person, and what shows of them."""
    raster = own.raster
    labels: UInt8[np.ndarray, "height width"] = np.zeros(raster.face.shape, np.uint8)
    labels.ravel()[raster.pixels] = mesh.face_parts[raster.face.ravel()[raster.pixels]]
    person = labels > 0
    shown = person & np.all([raster.depth <= o.raster.depth for o in others], axis=0)
    labels[person & ~shown] = UNKNOWN_ID
    if not person.any():
        return None, shown
    rows, columns = box_around(person)
    size = (float(columns.stop - columns.start), float(rows.stop - rows.start))
    box_px = (float(columns.start), float(rows.start), *size)
    return PartMapLabel(_PALETTE, labels[rows, columns], box_px), shown


def _sample(
    dataset: str,
    key: str,
    picture: Picture | None,
    camera: Camera,
    person: Scene | WorldPerson,
    visible: Bool[Tensor, " 33"],
    *,
    parts: PartMapLabel | None,
    shown: Bool[np.ndarray, "height width"],
    up: Float[Tensor, " 3"] | None = None,
) -> Sample:
    names = JOINT_NAMES
    points = person.keypoints_px.numpy().astype(np.float32)
    ahead = (person.keypoints_cam_m[:, 2] > 0).numpy() & np.isfinite(points).all(1)
    box_px = None
    if shown.any():
        rows, columns = box_around(shown)
        size = (float(columns.stop - columns.start), float(rows.stop - rows.start))
        box_px = (float(columns.start), float(rows.start), *size)
    return Sample(
        dataset,
        key,
        licence=_LICENCE,
        picture=picture,
        box_px=box_px,
        keypoints=Keypoints2D(BLAZEPOSE33, points, ahead.astype(np.float32), visible.numpy()),
        parts=parts,
        mask=Mask(camera.image_size, shown),
        joints=Joints3D(
            names, _numpy(person.joints_cam_m), np.ones(len(names), bool), "camera", "kinflow"
        ),
        body=BodyLabel(
            "kinflow",
            names,
            _numpy(person.pose),
            _numpy(person.t_cam_root_m),
            "camera",
            shape=_numpy(person.shape),
        ),
        camera=CalibratedCamera(
            (camera.focal_px, camera.focal_px), camera.principal_px, camera.image_size
        ),
        up=None if up is None else _numpy(up),
    )


def _numpy(values: Tensor) -> np.ndarray:
    return values.detach().to(torch.float32).numpy()
