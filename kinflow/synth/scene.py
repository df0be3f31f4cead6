"""Scenes of our own body with everything known: the data engine.

    source = SceneSource(SceneConfig())
    scene = source.scene(7)          # a seed is a scene, always the same one

A scene has one person who matters. The truth is that of the naked body; beside it stands what a
detector and a segmenter would have said about it, dressed and partly hidden. Benchmarks take scenes
in memory, `kinflow synth` writes them to files, networks train on `SceneSource.body`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.model import PosedBody
from kinflow.body.part_mesh import PartMesh
from kinflow.checks import nested, whole
from kinflow.evidence.types import PersonMask
from kinflow.geometry.image_grid import ImageGrid
from kinflow.geometry.pinhole import Camera
from kinflow.synth.observation import ObservationConfig, observe
from kinflow.synth.people import PeopleConfig, PeopleSource
from kinflow.synth.rendering import RenderedBody, coarse_mesh, render
from kinflow.synth.views import ViewConfig, ViewSource

GRID_MARGIN = 0.12
"""Room around the visible person, as a fraction of the longer side of the box."""

_MIN_JOINTS = 8
"""Joints of the person inside the image, of 22."""


@dataclass(frozen=True)
class SceneConfig:
    """What scenes look like.

    Attributes:
        people: poses and shapes.
        views: cameras and framing.
        observation: clothes, occluders and the errors of detectors.
        grid_cells: cells along the longer side of the person's grid.
        seed: scenes of another seed are other scenes.
    """

    people: PeopleConfig = PeopleConfig()
    views: ViewConfig = ViewConfig()
    observation: ObservationConfig = ObservationConfig()
    grid_cells: int = 192
    seed: int = 0

    def __post_init__(self) -> None:
        nested(self, people=PeopleConfig, views=ViewConfig, observation=ObservationConfig)
        whole(self, "grid_cells", at_least=16, at_most=4096)
        whole(self, "seed")


@dataclass(frozen=True)
class Scene:
    """One person: the truth, and what was measured. Keypoints are BlazePose's 33.

    The label map and its companions lie on one grid, as does the mask.
    """

    shape: Float[Tensor, " 6"]
    """Phenotypes."""
    pose: Float[Tensor, "22 3 3"]
    """Local rotations; entry 0 turns the root into the camera's frame."""
    t_cam_root_m: Float[Tensor, " 3"]
    camera: Camera
    joints_cam_m: Float[Tensor, "22 3"]
    keypoints_cam_m: Float[Tensor, "33 3"]
    keypoints_px: Float[Tensor, "33 2"]
    """True positions, outside the image too."""
    keypoint_visible: Bool[Tensor, " 33"]
    """Inside the image and hidden by nothing, the person's own body included."""
    parts: UInt8[Tensor, "rows columns"]
    """True part of each cell, clothes and occluders disregarded; 0 is the background."""
    dressed: Bool[Tensor, "rows columns"]
    """Cells that show the person with clothes on, occluders disregarded."""
    known: Bool[Tensor, "rows columns"]
    """Cells inside the image that no occluder hides."""
    neighbour: Bool[Tensor, "rows columns"]
    """Cells inside the image that show somebody else, who may be the occluder."""
    grid: ImageGrid
    detected_keypoints_px: Float[Tensor, "33 3"]
    """(x, y, confidence) with a detector's errors."""
    detected_depth_m: Float[Tensor, " 33"] | None
    """Rough depth relative to the middle of the hips, in scenes whose detector estimates it."""
    mask: PersonMask
    """Silhouette with clothes and with a segmenter's errors."""

    def posed(self, body: BodyModel) -> PosedBody:
        """The person in the camera's frame, as any subset of the bundled body."""
        return body.with_shape(self.shape).with_pose(self.pose, self.t_cam_root_m)


@dataclass(frozen=True)
class BodyInView:
    """A person before a camera, and their render on a grid around what the image shows of them."""

    shape: Float[Tensor, " 6"]
    posed: PosedBody
    t_cam_root_m: Float[Tensor, " 3"]
    camera: Camera
    grid: ImageGrid
    render: RenderedBody


class SceneSource:
    """Makes scenes; equal configurations and seeds give equal scenes."""

    def __init__(self, config: SceneConfig | None = None) -> None:
        self.config = config or SceneConfig()
        self.people = PeopleSource(self.config.people)
        self.views = ViewSource(self.config.views)

    @cached_property
    def mesh(self) -> PartMesh:
        """What label maps are drawn from."""
        return coarse_mesh(BodyModel.load())

    def rng(self, seed: int) -> np.random.Generator:
        """The source of all randomness of one scene."""
        return np.random.default_rng((self.config.seed, seed))

    def body(self, rng: np.random.Generator) -> BodyInView:
        """A random person before a random camera, enough of whom shows for a detector to notice."""
        while True:
            view = self._any_body(rng)
            at_px = view.camera.project(view.posed.joints_m).numpy()
            shows = (at_px >= 0).all(1) & (at_px < view.camera.image_size).all(1)
            if shows.sum() >= _MIN_JOINTS:
                return view

    def _any_body(self, rng: np.random.Generator) -> BodyInView:
        camera = self.views.camera(rng)
        shape, pose = self.people.shape(rng), self.people.pose(rng)
        pose[0] = self.views.R_cam_world(rng) @ pose[0]
        shaped = self.mesh.body.with_shape(shape)
        at_origin = shaped.with_pose(pose, torch.zeros(3))
        t_cam_root_m = self.views.place(at_origin.vertices_m(), camera, rng)
        posed = shaped.with_pose(pose, t_cam_root_m)
        points_px = camera.project(posed.vertices_m()).numpy()
        limit = np.array(camera.image_size, np.float64)
        corners = np.clip([points_px.min(0), points_px.max(0)], 0, limit)
        grid = ImageGrid.around(corners.reshape(4), GRID_MARGIN, self.config.grid_cells)
        rendered = render(self.mesh, posed, grid.camera(camera))
        return BodyInView(shape, posed, t_cam_root_m, camera, grid, rendered)

    def scene(self, seed: int) -> Scene:
        """The scene of a seed."""
        rng = self.rng(seed)
        view = self.body(rng)
        # whoever stands near shows a silhouette only, for which any other body will do
        other = self.body(rng).render.labels
        inside = _in_image(view.grid, view.camera.image_size)
        seen = observe(view.render, inside, other, self.config.observation, rng)
        grid, keypoints_m = view.grid, view.posed.keypoints_m()[: len(BLAZEPOSE33)]
        keypoints_px = view.camera.project(keypoints_m)
        # cells on the edge lie in the image only in part
        at_px = keypoints_px.numpy()
        in_image = ((at_px >= 0) & (at_px < view.camera.image_size)).all(1)
        detected = seen.detections.keypoints
        detected_px = np.column_stack((grid.to_px(detected[:, :2]), detected[:, 2]))
        depth_m = seen.detections.depth_m
        return Scene(
            shape=view.shape,
            pose=view.posed.pose,
            t_cam_root_m=view.t_cam_root_m,
            camera=view.camera,
            joints_cam_m=view.posed.joints_m,
            keypoints_cam_m=keypoints_m,
            keypoints_px=keypoints_px,
            keypoint_visible=torch.from_numpy(seen.keypoint_visible & in_image),
            parts=torch.from_numpy(view.render.labels),
            dressed=torch.from_numpy(seen.dressed),
            known=torch.from_numpy(seen.known),
            neighbour=torch.from_numpy(seen.neighbour),
            grid=grid,
            detected_keypoints_px=torch.from_numpy(detected_px).float(),
            detected_depth_m=None if depth_m is None else torch.from_numpy(depth_m).float(),
            mask=PersonMask(torch.from_numpy(seen.mask), grid),
        )


def _in_image(grid: ImageGrid, image_size: tuple[int, int]) -> Bool[np.ndarray, "rows columns"]:
    """Cells of which some lies in the image."""
    first_x, first_y = (
        origin + np.arange(count) * grid.cell_px
        for origin, count in zip(grid.origin_px, grid.size, strict=True)
    )
    column, row = (
        (first + grid.cell_px > 0) & (first < side)
        for first, side in zip((first_x, first_y), image_size, strict=True)
    )
    return row[:, None] & column
