"""`kinflow data truth`: the labels of a dataset as the truth that evaluation compares with.

The format is that of docs/evaluation.md: a row for each person in a frame. Joints of markers and
trackers (Human3.6M, MPI-INF-3DHP) are written as they are, into one file; labels that are poses of
SMPL (3DPW, EMDB) are posed by the user's own model files, into a file for each sequence. What is
labelled in pictures (COCO's keypoints and parts) is `image_truth`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from rich.progress import track
from tyro.conf import Positional, arg

from kinflow.body.skeleton import NUM_JOINTS
from kinflow.body.smpl_mesh import SmplMesh
from kinflow.checks import flag, path, refuse, whole
from kinflow.datasets.person_rows import write_rows
from kinflow.datasets.readers.commands import existing_folder
from kinflow.datasets.readers.reader import chosen_units
from kinflow.datasets.readers.registry import reader_of
from kinflow.datasets.sample import Sample
from kinflow.errors import InputError
from kinflow.evaluation.image_truth import SPLITS, image_truth, silhouette_truth
from kinflow.files.atomic import explained
from kinflow.files.destinations import check_file_destination, check_folder_destination


@dataclass(frozen=True)
class _Kind:
    """What protocols call a dataset and its joints, and whether the joints are a posed mesh's."""

    dataset: str
    joint_source: str
    is_mesh: bool = False


_KINDS: dict[str, _Kind] = {
    "h36m": _Kind("h36m", "mocap:h36m"),
    "mpi-inf-3dhp": _Kind("mpi-inf-3dhp", "mocap:mpi-inf-3dhp"),
    "3dpw": _Kind("3dpw", "model:smpl", is_mesh=True),
    "emdb": _Kind("emdb", "model:smpl", is_mesh=True),
}


@dataclass(frozen=True)
class TruthConfig:
    """Write a dataset's labels as the truth that `kinflow evaluate reconstruction` compares with.

    Args:
        name: which dataset: h36m, mpi-inf-3dhp, 3dpw or emdb; coco (keypoints) or coco-densepose
            (parts).
        root: its folder.
        out: the file to write; of 3DPW and EMDB the folder, in which each sequence is a file.
        split: as the dataset calls it; that of its benchmark unless given.
        bodies: folder with SMPL's files of women, men and neutral bodies, which pose the labels of
            3DPW and EMDB.
        silhouettes: write people's outlines in their place, of any dataset that has masks.
        at_most: people of whom outlines are written, those of the first pictures.
    """

    name: Annotated[str, Positional, arg(metavar="NAME")]
    root: Annotated[Path, Positional, arg(metavar="ROOT")]
    out: Path
    split: str | None = None
    bodies: Path | None = None
    silhouettes: bool = False
    at_most: int = 10_000

    def __post_init__(self) -> None:
        path(self, "root", "out")
        path(self, "bodies", or_none=True)
        flag(self, "silhouettes")
        whole(self, "at_most", at_least=1)
        known = (*_KINDS, *SPLITS)
        if self.name not in known and not self.silhouettes:
            refuse(
                f"Truth can be written of {', '.join(known)}, and outlines of what has masks; "
                f"'{self.name}' is none of them."
            )

    @property
    def chosen_split(self) -> str:
        """The split that is meant."""
        return self.split or next(iter(SPLITS.get(self.name, {"test": ""})))

    def pictures_truth(self) -> dict[str, Any]:
        """What is labelled in pictures, as arrays."""
        root = existing_folder(self.root)
        if self.silhouettes:
            return silhouette_truth(reader_of(self.name), root, self.split, self.at_most)
        return image_truth(self.name, root, self.chosen_split)


def main(config: TruthConfig) -> int:
    """Write the truth and say how much there is."""
    if config.silhouettes or config.name in SPLITS:
        return _of_pictures(config)
    kind = _KINDS[config.name]
    if kind.is_mesh and config.bodies is None:
        raise InputError(
            f"Labels of {config.name} are poses of SMPL: name the folder of SMPL's files "
            "(basicmodel_f_..., basicmodel_m_..., or SMPL_FEMALE.npz and so on).",
            {"the folder of SMPL's files": "bodies"},
        )
    check = check_folder_destination if kind.is_mesh else check_file_destination
    check(config.out)
    reader, root = reader_of(config.name), existing_folder(config.root)
    bodies = _Bodies(config.bodies) if kind.is_mesh and config.bodies else None
    split = config.chosen_split
    units = chosen_units(reader, root, split)
    rows, written = _Rows(kind, split), 0
    for unit in track(units, config.name):
        for sample in reader.read(root, unit):
            rows.add(sample, root, bodies)
        if bodies is not None:
            written += len(rows.frame)
            rows.write(config.out / f"{unit.key.replace('/', '_')}.npz")
            rows = _Rows(kind, split)
    if bodies is None:
        written = len(rows.frame)
        rows.write(config.out)
    print(f"Wrote {written} rows of {len(units)} label files to '{config.out}'.")
    return 0


def _of_pictures(config: TruthConfig) -> int:
    check_file_destination(config.out)
    arrays = config.pictures_truth()
    _write(config.out, arrays)
    pictures = len(set(arrays["image"].tolist()))
    print(f"Wrote {len(arrays['frame'])} rows of {pictures} pictures to '{config.out}'.")
    return 0


def _write(out: Path, arrays: dict[str, Any]) -> None:
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    write_rows(out, arrays)


@dataclass
class _Rows:
    """Arrays of a file while they grow."""

    kind: _Kind
    split: str
    sequence: list[str] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    person: list[int] = field(default_factory=list)
    valid: list[bool] = field(default_factory=list)
    action: list[str] = field(default_factory=list)
    subject: list[str] = field(default_factory=list)
    camera: list[str] = field(default_factory=list)
    image: list[str] = field(default_factory=list)
    joints_m: list[np.ndarray] = field(default_factory=list)
    joints_world_m: list[np.ndarray] = field(default_factory=list)
    vertices_m: list[np.ndarray] = field(default_factory=list)
    pose: list[np.ndarray] = field(default_factory=list)
    """Of our 22 joints, which SMPL has first; the root in the camera's frame."""
    names: tuple[str, ...] = ()
    rate_hz: float | None = None

    def add(self, sample: Sample, root: Path, bodies: _Bodies | None) -> None:
        """A row of a sample."""
        clip, frame = sample.key.rsplit("/", 1)
        camera = re.search(r"/(\d{8})$", clip)
        person = re.search(r"/(\d+)$", clip) if self.kind.dataset == "3dpw" else None
        self.sequence.append(sample.sequence if bodies and sample.sequence else clip)
        self.frame.append(int(frame))
        self.person.append(int(person[1]) if person else 0)
        self.action.append(sample.action or "")
        self.subject.append(sample.identity or "")
        self.camera.append(camera[1] if camera else "")
        self.image.append(_image(sample, root))
        self.rate_hz = sample.fps
        if bodies is None:
            joints_m = sample.joints_cam_m()
            self.names = sample.joints.names if sample.joints else self.names
            known = joints_m is not None
            if joints_m is None:
                joints_m = np.full((len(self.names), 3), np.nan, np.float32)
            self.joints_m.append(joints_m)
        else:
            known = self._add_mesh(sample, bodies)
        self.valid.append(sample.valid and known)

    def _add_mesh(self, sample: Sample, bodies: _Bodies) -> bool:
        """The posed mesh and its joints; whether they are known in the camera's frame."""
        if sample.body is None:
            raise InputError(f"'{sample.key}' has no pose.")
        vertices, joints = bodies.posed(sample)
        self.names = sample.body.joint_names
        self.joints_world_m.append(joints)
        known = sample.camera is not None and sample.camera.R_cam_world is not None
        self.pose.append(_pose_before_camera(sample))
        for target, points in ((self.vertices_m, vertices), (self.joints_m, joints)):
            unknown = np.full_like(points, np.nan)
            camera = sample.camera if known else None
            target.append(unknown if camera is None else camera.to_camera(points))
        return known

    def write(self, out: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            InputError: it cannot be written, or there is nothing to write.
        """
        if not self.frame:
            raise InputError(f"There is nothing to write to '{out}': no labels were read.")
        arrays = {
            "dataset": np.array(self.kind.dataset),
            "split": np.array(self.split),
            "joint_source": np.array(self.kind.joint_source),
            "joint_names": np.array(self.names),
            "joints_m": np.stack(self.joints_m).astype(np.float32),
            "sequence": np.array(self.sequence),
            "frame": np.array(self.frame, np.int64),
            "person": np.array(self.person, np.int64),
            "valid": np.array(self.valid),
            "action": np.array(self.action),
            "subject": np.array(self.subject),
            "camera": np.array(self.camera),
            "image": np.array(self.image),
        }
        if self.rate_hz:
            arrays["rate_hz"] = np.array(self.rate_hz)
        if self.vertices_m:
            arrays["joints_world_m"] = np.stack(self.joints_world_m)
            arrays["root_world_m"] = arrays["joints_world_m"][:, 0]
            arrays["vertices_m"] = np.stack(self.vertices_m)
            arrays["pose"] = np.stack(self.pose)
            arrays["topology"] = np.array("smpl")
        _write(out, arrays)


def _pose_before_camera(sample: Sample) -> np.ndarray:
    """Rotations with the root in the camera's frame; NaN where that is not known."""
    R_cam_world = None if sample.camera is None else sample.camera.R_cam_world
    if sample.body is None or R_cam_world is None:
        return np.full((NUM_JOINTS, 3, 3), np.nan, np.float32)
    pose = sample.body.R_parent_joint[:NUM_JOINTS].copy()
    pose[0] = R_cam_world @ pose[0]
    return pose


class _Bodies:
    """SMPL's files of a folder, each loaded when it is needed first."""

    def __init__(self, folder: Path) -> None:
        self._folder = existing_folder(folder)
        self._loaded: dict[str, SmplMesh] = {}

    def posed(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and joints of a sample's body, in the world."""
        label = sample.body
        if label is None or label.shape is None:
            raise InputError(f"'{sample.key}' has no pose or no shape.")
        R, t_m = label.R_parent_joint, label.t_space_m
        turn = label.R_space_model
        if turn is not None:  # into the frame that the parameters were made for, and back
            R, t_m = np.concatenate([(turn.T @ R[0])[None], R[1:]]), turn.T @ t_m
        vertices, joints = self._of(label.gender or "neutral").posed(label.shape, R, t_m)
        if turn is not None:
            vertices, joints = vertices @ turn.T, joints @ turn.T
        return vertices.astype(np.float32), joints.astype(np.float32)

    def _of(self, gender: str) -> SmplMesh:
        if gender not in self._loaded:
            found = list(self._files(gender))
            if not found:
                raise InputError(
                    f"'{self._folder}' has no SMPL file of a {gender} body: neither SMPL_"
                    f"{gender.upper()}.npz nor .pkl, nor basicmodel_{gender[0]}_*.pkl."
                )
            self._loaded[gender] = SmplMesh.load(found[0])
        return self._loaded[gender]

    def _files(self, gender: str) -> Iterator[Path]:
        for pattern in (
            f"SMPL_{gender.upper()}.npz",
            f"SMPL_{gender.upper()}.pkl",
            f"basic[mM]odel_{gender[0]}_*.pkl",
            f"basic[mM]odel_{gender}_*.pkl",
        ):
            yield from sorted(self._folder.rglob(pattern))


def _image(sample: Sample, root: Path) -> str:
    """A picture's path below the dataset's folder; empty of frames of clips."""
    if sample.picture is None or sample.picture.frame is not None:
        return ""
    try:
        return sample.picture.path.relative_to(root).as_posix()
    except ValueError:
        return str(sample.picture.path)
