"""`kinflow sample` and `kinflow interpolate`: pictures and meshes of what a pose prior knows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

import kinflow.priors
from kinflow.body.model import BodyModel
from kinflow.body.skeleton import FREE_JOINTS, NUM_JOINTS
from kinflow.cli.options import Interpolate, Sample
from kinflow.errors import InputError
from kinflow.export.bodies import Bodies
from kinflow.export.gltf import scene_glb
from kinflow.export.overlay import bodies_layer
from kinflow.export.painter import PaintStyle, paint
from kinflow.export.people_files import load
from kinflow.export.writer import png_bytes
from kinflow.files.atomic import explained, write_bytes
from kinflow.files.destinations import check_file_destination, check_folder_destination
from kinflow.geometry.pinhole import Camera
from kinflow.priors.pose_space import matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.shape import ShapePrior
from kinflow.results import Person, Reconstruction

CELL_PX = 240
SPACING_M = 2.0
_HEADING_RAD = math.radians(25.0)
_BACKGROUND = 245
_FOV_DEG = 30.0
_DROP_M = 0.1
"""How far below the middle of its cell a pelvis is: there is more of a body below it."""
_DISTANCE_M = 4.2
"""From the camera of a cell to the pelvis; more on sheets on which somebody needs more room."""


def run_sample(options: Sample) -> int:
    """Write `samples.png` and `samples.glb`."""
    check_folder_destination(options.out)
    prior = kinflow.priors.load(options.prior)
    R_free = prior.sample(options.count, torch.Generator().manual_seed(options.seed))
    people = _people(R_free)
    columns = math.ceil(math.sqrt(options.count))
    with explained(options.out):
        options.out.mkdir(parents=True, exist_ok=True)
    write_bytes(options.out / "samples.png", png_bytes(contact_sheet(people, columns)))
    scene = Reconstruction.of_frame(people[0].camera, people, "samples")
    write_bytes(options.out / "samples.glb", scene_glb(scene, Bodies.of(people)))
    print(f"Wrote samples.png and samples.glb to {options.out}.")
    return 0


def run_interpolate(options: Interpolate) -> int:
    """Write a picture: the path through the latent above the path of single rotations."""
    check_file_destination(options.out)
    if options.out.suffix.lower() not in ("", ".png"):
        # a photo that was named by mistake is not to be replaced
        raise InputError(f"'{options.out}' would be a PNG; give a name that ends in .png.")
    prior = kinflow.priors.load(options.prior)
    ends = torch.stack([_first_pose(path) for path in (options.a, options.b)])
    share = torch.linspace(0, 1, options.steps)
    rows = [latent_path(prior, ends, share), slerp_path(ends, share)]
    people = _people(torch.cat(rows))
    write_bytes(options.out, png_bytes(contact_sheet(people, options.steps)))
    print(f"Wrote {options.out}: the latent's path above, slerp of each joint below.")
    return 0


def latent_path(
    prior: kinflow.priors.PosePrior, ends: Float[Tensor, "2 19 3 3"], share: Float[Tensor, "steps"]
) -> Float[Tensor, "steps 19 3 3"]:
    """Poses on the straight line between the latents of two."""
    z_a, z_b = prior.encode(ends)
    return prior.decode(torch.lerp(z_a, z_b, share[:, None]))


def slerp_path(
    ends: Float[Tensor, "2 19 3 3"], share: Float[Tensor, "steps"]
) -> Float[Tensor, "steps 19 3 3"]:
    """Each joint turned at constant speed from one pose to the other."""
    turn = matrix_to_rotvec(ends[0].mT @ ends[1])
    return ends[0] @ rotvec_to_matrix(share[:, None, None] * turn)


def _first_pose(path: str) -> Float[Tensor, "19 3 3"]:
    people = load(path).people
    if not people:
        raise InputError(f"'{path}' holds no person, so there is no pose to start or end with.")
    return people[0].pose[list(FREE_JOINTS)].float()


def contact_sheet(people: tuple[Person, ...], columns: int) -> UInt8[np.ndarray, "height width 3"]:
    """Each person in a cell of its own, row by row; unused cells stay empty."""
    distance_m = max(_DISTANCE_M, *(_distance_to_fit_m(person) for person in people))
    cells = [_cell(person, distance_m) for person in people]
    empty = np.full_like(cells[0], _BACKGROUND)
    cells += [empty] * (-len(cells) % columns)
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    return np.vstack(rows)


def _distance_to_fit_m(person: Person) -> float:
    """How far away somebody has to stand so that a cell, less a margin, holds all of them."""
    x, y, z = (person.vertices() - person.t_cam_root_m).unbind(-1)
    slope = 0.97 * math.tan(math.radians(_FOV_DEG / 2))
    return float((torch.maximum(x.abs(), (y + _DROP_M).abs()) / slope - z).max())


def _cell(person: Person, distance_m: float) -> UInt8[np.ndarray, "cell cell 3"]:
    canvas = np.full((CELL_PX, CELL_PX, 3), _BACKGROUND, np.uint8)
    centred = replace(person, t_cam_root_m=torch.tensor([0.0, _DROP_M, distance_m]))
    camera = Camera.from_fov((CELL_PX, CELL_PX), _FOV_DEG)
    return paint(canvas, bodies_layer(Bodies.of([centred])), camera, PaintStyle(opacity=1.0))


def _people(R_free: Float[Tensor, "people 19 3 3"]) -> tuple[Person, ...]:
    """Average adults in a square, feet on one floor, half turned to a camera before them."""
    count = len(R_free)
    columns = math.ceil(math.sqrt(count))
    heading = rotvec_to_matrix(torch.tensor([0.0, _HEADING_RAD, 0.0]))
    pose = torch.eye(3).repeat(count, NUM_JOINTS, 1, 1)
    pose[:, list(FREE_JOINTS)] = R_free
    pose[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ heading
    shape_prior = ShapePrior()
    shape = shape_prior.decode(torch.zeros(shape_prior.size))
    shaped = BodyModel.load().with_shape(shape)
    joints_m = shaped.with_pose(pose, torch.zeros(count, 3)).joints_m
    # a few at a time: the meshes of all at once would take a megabyte each
    lowest_m = torch.cat(
        [
            shaped.with_pose(some, torch.zeros(len(some), 3)).vertices_m()[..., 1].amax(-1)
            for some in pose.split(32)
        ]
    )
    row, column = torch.arange(count) // columns, torch.arange(count) % columns
    t_root_m = torch.stack(
        [
            SPACING_M * (column - (columns - 1) / 2),
            1.0 - lowest_m,
            2.5 * SPACING_M * columns / 2 + SPACING_M * row,
        ],
        -1,
    )
    camera = Camera.from_fov((CELL_PX * columns, CELL_PX * columns), 60.0)
    return tuple(
        Person(
            person=i,
            camera=camera,
            R_cam_root=pose[i, 0],
            t_cam_root_m=t_root_m[i],
            pose=pose[i],
            z=torch.zeros(0),
            shape=shape,
            joints_cam_m=joints_m[i] + t_root_m[i],
            joint_std_m=torch.zeros(NUM_JOINTS),
            t_cam_root_std_m=torch.zeros(3),
            keypoints_px=torch.zeros(33, 3),
            score=1.0,
        )
        for i in range(count)
    )
