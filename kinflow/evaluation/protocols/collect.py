"""`kinflow evaluate collect`: result folders of kinflow as a file of predictions.

A clip's folder is a sequence of its name. Photos are single frames; where the truth says which
picture each of its rows was seen in, photos take their sequence and frame from there.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kinflow.body.keypoints import COCO17, COCO17_ROWS
from kinflow.body.model import BodyModel, PosedBody
from kinflow.checks import one_of, path, refuse, whole, words
from kinflow.datasets.person_rows import write_rows
from kinflow.errors import InputError
from kinflow.evaluation.protocols.body_maps import part_maps
from kinflow.evaluation.protocols.joint_sets import JOINT_SETS
from kinflow.evaluation.protocols.own_body import SOURCE, TOPOLOGY, joints_named, small_body
from kinflow.evaluation.protocols.picture_places import PicturePlaces
from kinflow.evaluation.protocols.row_files import read_rows
from kinflow.export.people_files import JSON_NAME, NPZ_NAME, load
from kinflow.files.destinations import check_file_destination
from kinflow.files.reading import readable
from kinflow.results import Person

_STILL = ("still", "turns")


@dataclass(frozen=True)
class CollectConfig:
    """Write what kinflow found as predictions; docs/evaluation.md has the format.

    Attributes:
        results: result folders, or folders of them.
        out: file to write.
        joints: set of joints: smpl22, smpl24, h36m17, lsp14, mpi17 or coco17.
        truth: file of the truth, whose pictures say which sequence and frame a photo is.
        name: what tables call it; the name of the file if it is left out.
        samples: bodies for each person, the chosen one and alternatives, for the best of several.
        vertices: whether to write meshes, 165 kB a body.
        maps: whether to write maps of parts, in the windows and grids of the truth's.
    """

    results: tuple[Path, ...]
    out: Path
    joints: str = "smpl22"
    truth: Path | None = None
    name: str | None = None
    samples: int = 1
    vertices: bool = False
    maps: bool = False

    def __post_init__(self) -> None:
        words(self, "results", "one or more result folders")
        path(self, "out")
        path(self, "truth", or_none=True)
        one_of(self, "joints", tuple(JOINT_SETS))
        whole(self, "samples", at_least=1, at_most=1000)
        if self.maps and self.truth is None:
            refuse("maps need a truth, which says in which windows to draw them.")
        if self.name == "":
            refuse("name has to be a text that is not empty.")


@dataclass(frozen=True)
class _Body:
    """One row to be."""

    sequence: str
    frame: int
    image: str
    person: Person
    R_world_cam: Tensor | None


def main(config: CollectConfig) -> None:
    """Write the file, and say what is in it."""
    check_file_destination(config.out)
    folders = list(_folders(config.results))
    truth = read_rows(config.truth) if config.truth else None
    known = PicturePlaces.of(truth) if truth is not None and "image" in truth else None
    bodies = [body for folder in folders for body in _bodies(folder, known)]
    if not bodies:
        raise InputError("The results show nobody, so there are no predictions to write.")
    arrays = _arrays(bodies, config)
    if config.maps and truth is not None:
        people = [body.person for body in bodies]
        places = [(body.sequence, body.frame) for body in bodies]
        boxes = arrays["box_px"].astype(np.float64)
        arrays["parts"], arrays["window_px"] = part_maps(people, places, boxes, truth)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    write_rows(config.out, arrays)
    sequences = len(set(arrays["sequence"].tolist()))
    print(f"Wrote {config.out}: {len(bodies)} bodies of {sequences} sequences.")


def _folders(results: Sequence[Path]) -> Iterable[Path]:
    """All result folders in the order of their names."""
    found: dict[Path, None] = {}
    for given in map(Path, results):
        with readable(given):
            if not stat.S_ISDIR(given.stat().st_mode):
                raise InputError(f"'{given}' is no folder of results.")
            files = [file for name in (NPZ_NAME, JSON_NAME) for file in given.rglob(name)]
        if not files:
            raise InputError(f"'{given}' holds no results of kinflow (no {NPZ_NAME}).")
        found |= dict.fromkeys(sorted({file.parent for file in files}))
    return found


def _bodies(folder: Path, known: PicturePlaces | None) -> list[_Body]:
    """The bodies of one result; photos have their place by the truth's pictures."""
    result = load(folder)
    if any(body.users_body is not None for track in result.tracks for body in track.bodies):
        raise InputError(
            f"'{folder}' holds fits of a body of yours, whose joints are others; `kinflow "
            "convert` and then `kinflow data results` make predictions of them."
        )
    is_photo = len(result.frames) == 1
    place = known.of_photo(result.source or folder.name) if known and is_photo else None
    bodies = []
    for frame in result.frames:
        R = None
        if frame.turn is not None:
            R = frame.turn.R_first_cam.float()
        elif result.camera_motion in _STILL and len(result.frames) > 1:
            R = torch.eye(3)
        sequence, number = place or (folder.name, frame.index)
        bodies += [
            _Body(sequence, number, result.source, person, R)
            for person in result.people_of(frame.index)
        ]
    return bodies


@torch.no_grad()
def _arrays(bodies: Sequence[_Body], config: CollectConfig) -> dict[str, np.ndarray]:
    names = JOINT_SETS[config.joints]
    people = [body.person for body in bodies]
    joints = torch.stack([_joints(person, names, config.samples) for person in people])
    keypoints, boxes = zip(*(_seen(person) for person in people), strict=True)
    arrays: dict[str, np.ndarray] = {
        "name": np.array(config.name or config.out.stem),
        "sequence": np.array([body.sequence for body in bodies]),
        "frame": np.array([body.frame for body in bodies]),
        "image": np.array([body.image for body in bodies]),
        "person": np.array([person.person for person in people]),
        "score": np.array([person.score for person in people], np.float64),
        "joint_names": np.array(names),
        "joint_source": np.array(SOURCE),
        "joints_m": joints.numpy(),
        "pose": torch.stack([person.pose for person in people]).numpy(),
        "shape": torch.stack([person.shape for person in people]).numpy(),
        "keypoint_names": np.array(COCO17),
        "keypoints_px": np.stack(keypoints),
        "box_px": np.stack(boxes),
    }
    turns = [body.R_world_cam for body in bodies]
    if all(turn is not None for turn in turns):
        R = torch.stack([turn for turn in turns if turn is not None])
        arrays["joints_world_m"] = (joints[:, 0] @ R.mT).numpy()
        roots = torch.stack([person.t_cam_root_m for person in people])
        arrays["root_world_m"] = (roots[:, None] @ R.mT)[:, 0].numpy()
    if config.vertices:
        meshes = [_meshes(person, config.samples) for person in people]
        arrays["vertices_m"] = torch.stack(meshes).numpy()
        arrays["topology"] = np.array(TOPOLOGY)
    return arrays


def _joints(person: Person, names: Sequence[str], samples: int) -> Tensor:
    return torch.stack([joints_named(p, names) for p in _posed(small_body(), person, samples)])


def _meshes(person: Person, samples: int) -> Tensor:
    return torch.stack([p.vertices_m() for p in _posed(BodyModel.load(), person, samples)])


def _posed(body: BodyModel, person: Person, samples: int) -> list[PosedBody]:
    """The chosen body and alternatives; where there are fewer, the chosen one again."""
    choices = [(person.shape, person.pose, person.t_cam_root_m)]
    choices += [(h.shape, h.pose, h.t_cam_root_m) for h in person.hypotheses[: samples - 1]]
    choices += choices[:1] * (samples - len(choices))
    return [body.with_shape(shape).with_pose(pose, t) for shape, pose, t in choices]


def _seen(person: Person) -> tuple[np.ndarray, np.ndarray]:
    """COCO's keypoints of the body in the picture, with the detection's confidence; its box."""
    posed = _outline_body().with_shape(person.shape).with_pose(person.pose, person.t_cam_root_m)
    points = person.camera.project(posed.keypoints_m()[list(COCO17_ROWS)])
    confidence = person.keypoints_px[list(COCO17_ROWS), 2:]
    outline = person.camera.project(posed.vertices_m())
    # boxes of others end where the picture does
    size = torch.tensor([float(side) for side in person.camera.image_size])
    low, high = (end.clamp(size.new_zeros(2), size) for end in (outline.amin(0), outline.amax(0)))
    return torch.cat([points, confidence], 1).numpy(), torch.cat([low, high - low]).numpy()


@lru_cache(maxsize=1)
def _outline_body() -> BodyModel:
    return BodyModel.load("fit")
