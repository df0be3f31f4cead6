"""The files of other systems, told apart by their fields, as `BodyParameters`.

| system | file | what tells it |
|---|---|---|
| 4D-Humans, PHALP | joblib pickle, a dict a frame | `smpl` and `camera` in each |
| WHAM | joblib pickle, a dict a person | `pose`, `trans` and `frame_ids` in each |
| GVHMR | file of `torch.save` | `smpl_params_incam` |
| SAM 3D Body | npz or pickle of one body or many | `pred_keypoints_3d` and `pred_cam_t` |
| kinflow, AMASS, others | npz or pickle | `poses`, or `global_orient` and `body_pose` |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from kinflow.body.skeleton import NUM_JOINTS
from kinflow.datasets.results.mhr import MHR70
from kinflow.datasets.results.parameters import BodyModelName, BodyParameters, of_good_rows
from kinflow.datasets.results.values import NoNumbers, numbers, optional, rotations, stacked, whole
from kinflow.errors import InputError
from kinflow.files.npz_files import array_names, is_archive, read_npz
from kinflow.files.plain_pickle import load_plain
from kinflow.files.reading import check_file, guarded, readable
from kinflow.files.torch_archives import load_torch

TOOLS = ("auto", "phalp", "wham", "gvhmr", "sam3d", "smpl")
_WHAT = "results of another system"
_SUFFIXES = (".npz", ".pkl", ".pt")
_NAMED = 4
_PHALP_FOCAL = 5000.0 / 256.0
"""Of its camera, for an image whose longer side is 1."""
_SAM3D = (
    *("pred_keypoints_3d", "pred_cam_t", "pred_keypoints_2d"),
    *("focal_length", "frame", "person"),
)
_POSE_MODELS: dict[int, BodyModelName] = {72: "smpl", 156: "smplh", 165: "smplx"}
_BODY_POSE_MODELS: dict[int, BodyModelName] = {69: "smpl", 63: "smplx"}
_RATES = ("mocap_framerate", "mocap_frame_rate")


def read_results(path: Path | str, tool: str = "auto", sequence: str = "") -> BodyParameters:
    """The bodies that a file of another system holds.

    Args:
        path: npz, pickle (of joblib, too) or a file of `torch.save`.
        tool: one of `TOOLS`; "auto" tells it by the fields.
        sequence: name of the clip or photo; the file's own unless it is given.

    Raises:
        InputError: the file cannot be read, is of no system that is known, or holds numbers that
            cannot be right.
    """
    path = Path(path)
    if tool not in TOOLS:
        raise InputError(f"There is no reader '{tool}'; it has to be one of {', '.join(TOOLS)}.")
    with guarded(path, _WHAT):
        content = _content(path)
        tool = _tool_of(content) if tool == "auto" else tool
        if not tool:
            raise InputError(
                f"'{path}' holds results of no system that is known here ({_seen(content)}); "
                "docs/smpl.md lists the fields."
            )
        try:
            return _READERS[tool](content, sequence or path.stem)
        except InputError as error:
            raise InputError(f"'{path}' cannot be used as {_NAMES[tool]}: {error}.") from error


def _content(path: Path) -> Any:
    if path.is_dir():
        raise InputError(f"'{path}' is a folder; {_files_in(path)}.")
    check_file(path)
    if not is_archive(path):
        return _pickled(path)
    if "data.pkl" in {PurePath(name).name for name in array_names(path)}:
        return load_torch(path)
    return read_npz(path, what=_WHAT)


def _files_in(folder: Path) -> str:
    """The first files of a folder that may be results, for a sentence."""
    with readable(folder):
        names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
    if not names:
        return f"name a file with results (it holds none of {', '.join(_SUFFIXES)})"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"name one of its files: {', '.join(names[:_NAMED])}{more}"


def _pickled(path: Path) -> Any:
    try:
        return load_plain(path)
    except InputError as error:
        raise InputError(
            f"{error} Of compressed files of joblib and of other objects only Python knows: load "
            "them there and save their arrays with numpy.savez."
        ) from error


def _seen(content: Any) -> str:
    if isinstance(content, Mapping):
        names = ", ".join(str(key)[:40] for key in list(content)[:6])
        return f"it has {names}" if names else "it is empty"
    return f"it is a {type(content).__name__}"


def _tool_of(content: Any) -> str:
    if isinstance(content, Sequence) and not isinstance(content, str) and content:
        first = content[0]
        return "sam3d" if isinstance(first, Mapping) and _is_sam3d(first) else ""
    if not isinstance(content, Mapping):
        return ""
    if "smpl_params_incam" in content or "smpl_params_global" in content:
        return "gvhmr"
    if _is_sam3d(content):
        return "sam3d"
    if "poses" in content or "pose" in content or "global_orient" in content:
        return "smpl"
    inner = next((v for v in content.values() if isinstance(v, Mapping)), None)
    if inner is None:
        return ""
    if "smpl" in inner and "camera" in inner:
        return "phalp"
    return "wham" if "pose" in inner and "trans" in inner else ""


def _is_sam3d(content: Mapping[Any, Any]) -> bool:
    return "pred_keypoints_3d" in content and "pred_cam_t" in content


def _phalp(content: Any, sequence: str) -> BodyParameters:
    """A dict a frame by the name of its picture, with a list for each field, an entry a person."""
    rows: list[dict[str, Any]] = []
    faults: list[NoNumbers] = []
    for index, (name, frame) in enumerate(_items(content)):
        number = _frame_number(name, index)
        people = _list(frame, "smpl")
        ids = _list(frame, "tid") if "tid" in frame else _list(frame, "tracked_ids")
        cameras, sizes = _list(frame, "camera"), _list(frame, "size")
        if not len(people) == len(ids) == len(cameras) == len(sizes):
            raise InputError(f"its lists of '{name}' differ in length")
        for person, who, camera, size in zip(people, ids, cameras, sizes, strict=True):
            if not isinstance(person, Mapping):
                raise InputError(f"its smpl of '{name}' is no dict")
            told = {**person, "size": size, "tid": who, "camera": camera}
            try:
                rows.append({"frame": float(number), **_phalp_person(told)})
            except NoNumbers as error:
                faults.append(error)
    if not rows:
        raise faults[0] if faults else InputError("it shows nobody")
    fields = stacked(rows, tuple(rows[0]))
    return of_good_rows(
        "4D-Humans", "smpl", "camera",
        whole(fields["frame"], "numbers of frames"),
        whole(fields["person"], "numbers of people"),
        sequence,
        pose=fields["pose"],
        betas=fields["betas"],
        trans_m=fields["trans"],
        focal_px=fields["focal"],
        principal_px=fields["principal"],
        left_out=len(faults),
    )  # fmt: skip


def _phalp_person(told: Mapping[str, Any]) -> dict[str, Any]:
    body = numbers(told, "body_pose", (23, 3, 3))
    root = numbers(told, "global_orient", (1, 3, 3))
    height, width = numbers(told, "size", (2,))
    return {
        "person": float(numbers(told, "tid", ())),
        "pose": np.concatenate([root, body])[:NUM_JOINTS],
        "betas": numbers(told, "betas", (None,)),
        "trans": numbers(told, "camera", (3,)),
        "focal": float(_PHALP_FOCAL * max(height, width)),
        "principal": np.array([width, height]) / 2,
    }


def _wham(content: Any, sequence: str) -> BodyParameters:
    """A dict a person."""
    parts: dict[str, list[np.ndarray]] = {}
    for index, (name, person) in enumerate(_items(content)):
        pose = numbers(person, "pose", (None, 72), rows=True)
        count = len(pose)
        frames = optional(person, "frame_ids", (count,))
        betas = numbers(person, "betas", (None, None), rows=True)
        found = {
            "pose": rotations(pose),
            "betas": np.broadcast_to(betas, (count, betas.shape[1]))
            if len(betas) == 1
            else numbers(person, "betas", (count, None), rows=True),
            "trans": numbers(person, "trans", (count, 3), rows=True),
            "frame": np.arange(count) if frames is None else whole(frames, "frame_ids"),
            "person": np.full(count, name if type(name) is int else index),
        }
        for field, values in found.items():
            parts.setdefault(field, []).append(values)
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    return of_good_rows(
        "WHAM", "smpl", "camera", joined["frame"].astype(np.int64),
        joined["person"].astype(np.int64), sequence,
        pose=joined["pose"], betas=joined["betas"], trans_m=joined["trans"],
    )  # fmt: skip


def _gvhmr(content: Any, sequence: str) -> BodyParameters:
    """One person in all frames; in the camera's frame where that is there."""
    space = "camera" if "smpl_params_incam" in content else "world"
    fields = content["smpl_params_incam" if space == "camera" else "smpl_params_global"]
    if not isinstance(fields, Mapping):
        raise InputError("its parameters are no dict")
    root = numbers(fields, "global_orient", (None, 3), rows=True)
    count = len(root)
    body = numbers(fields, "body_pose", (count, 63), rows=True)
    focal = principal = None
    if content.get("K_fullimg") is not None:
        K = numbers(content, "K_fullimg", (count, 3, 3), rows=True)
        focal, principal = K[:, 0, 0], K[:, :2, 2]
    return of_good_rows(
        "GVHMR", "smplx", space, np.arange(count), np.zeros(count, np.int64), sequence,
        pose=rotations(np.concatenate([root, body], 1)),
        betas=numbers(fields, "betas", (count, None), rows=True),
        trans_m=numbers(fields, "transl", (count, 3), rows=True),
        focal_px=focal, principal_px=principal,
    )  # fmt: skip


def _sam3d(content: Any, sequence: str) -> BodyParameters:
    """One body, several stacked, or a list of them, one a person of a photo."""
    if not isinstance(content, Mapping):
        rows = [row for row in content if isinstance(row, Mapping)]
        if len(rows) != len(content):
            raise InputError("it lists something that is no body")
        content = stacked(rows, _SAM3D)
    elif np.ndim(content["pred_cam_t"]) == 1:
        content = stacked([content], _SAM3D)
    points = numbers(content, "pred_keypoints_3d", (None, len(MHR70), 3), rows=True)
    count = len(points)
    place = numbers(content, "pred_cam_t", (count, 3), rows=True)
    seen = optional(content, "pred_keypoints_2d", (count, len(MHR70), 2), rows=True)
    focal = None
    if "focal_length" in content:
        focal = _array(content, "focal_length").reshape(-1)
        if len(focal) != count:
            raise InputError(f"its focal_length has {len(focal)} numbers for {count} bodies")
    frame, person = (optional(content, name, (count,)) for name in ("frame", "person"))
    return of_good_rows(
        "SAM 3D Body", "mhr", "camera",
        np.zeros(count, np.int64) if frame is None else whole(frame, "frame"),
        np.arange(count) if person is None else whole(person, "person"),
        sequence,
        joints_m=points + place[:, None],
        joint_names=MHR70,
        keypoints_px=None if seen is None else np.pad(
            seen, ((0, 0), (0, 0), (0, 1)), constant_values=1.0
        ),
        keypoint_names=() if seen is None else MHR70,
        focal_px=focal,
    )  # fmt: skip


def _smpl(content: Any, sequence: str) -> BodyParameters:
    """One person: parameters as kinflow, AMASS and the body models themselves call them."""
    if "cam_global_orient" in content:
        content = {
            **content,
            "global_orient": content["cam_global_orient"],
            "body_pose": content.get("cam_body_pose"),
            "transl": content.get("cam_trans"),
        }
        rotvec, model = _global_and_body(content)
        model = _named_model(content) or model
        space = "camera"
    else:
        rotvec, model = _global_and_body(content) if "global_orient" in content else _poses(content)
        model = _named_model(content) or model
        space = "world" if any(rate in content for rate in _RATES) else "camera"
    count = len(rotvec)
    place = next((n for n in ("transl", "trans") if content.get(n) is not None), "")
    frame = next((n for n in ("frame", "frame_ids", "frame_index") if n in content), "")
    person = optional(content, "person", (count,))
    return of_good_rows(
        "SMPL parameters", model, space,
        whole(numbers(content, frame, (count,)), frame) if frame else np.arange(count),
        np.zeros(count, np.int64) if person is None else whole(person, "person"),
        sequence,
        pose=rotations(rotvec),
        betas=_betas(content, count),
        trans_m=numbers(content, place, (count, 3), rows=True) if place else None,
        focal_px=optional(content, "focal_px", (count,), rows=True),
        principal_px=optional(content, "principal_px", (count, 2), rows=True),
    )  # fmt: skip


def _betas(content: Mapping[Any, Any], count: int) -> np.ndarray | None:
    """One shape for all frames, or one for each."""
    if content.get("betas") is None:
        return None
    betas = _array(content, "betas")
    if betas.ndim == 1:
        return np.tile(numbers(content, "betas", (None,)), (count, 1))
    return numbers(content, "betas", (count, None), rows=True)


def _poses(content: Mapping[Any, Any]) -> tuple[np.ndarray, BodyModelName]:
    name = "poses" if "poses" in content else "pose"
    rotvec = numbers(content, name, (None, None), rows=True)
    if rotvec.shape[1] not in _POSE_MODELS:
        widths = ", ".join(f"{w} ({m})" for w, m in _POSE_MODELS.items())
        raise InputError(f"its {name} has {rotvec.shape[1]} numbers a frame, not {widths}")
    return rotvec, _POSE_MODELS[rotvec.shape[1]]


def _global_and_body(content: Mapping[Any, Any]) -> tuple[np.ndarray, BodyModelName]:
    root = numbers(content, "global_orient", (None, 3), rows=True)
    body = numbers(content, "body_pose", (len(root), None), rows=True)
    if body.shape[1] not in _BODY_POSE_MODELS:
        raise InputError(f"its body_pose has {body.shape[1]} numbers a frame, not 63 or 69")
    return np.concatenate([root, body[:, :63]], 1), _BODY_POSE_MODELS[body.shape[1]]


def _named_model(content: Mapping[Any, Any]) -> BodyModelName | None:
    """The model that a file names."""
    said = str(content.get("surface_model_type", ""))
    return said if said in ("smpl", "smplh", "smplx") else None  # pyright: ignore[reportReturnType]


def _items(content: Any) -> list[tuple[Any, Mapping[Any, Any]]]:
    """The entries of a dict of dicts."""
    if not isinstance(content, Mapping) or not content:
        raise InputError("it is no dict, or an empty one")
    if not all(isinstance(value, Mapping) for value in content.values()):
        raise InputError("not all of its entries are dicts")
    return list(content.items())


def _list(frame: Mapping[Any, Any], name: str) -> list[Any]:
    value = frame.get(name)
    if isinstance(value, np.ndarray):
        return list(value)
    if not isinstance(value, list | tuple):
        raise InputError(f"it has no list of {name}")
    return list(value)


def _array(content: Mapping[Any, Any], name: str) -> np.ndarray:
    """A field of any shape."""
    return stacked([content], (name,))[name][0]


def _frame_number(name: Any, index: int) -> int:
    """The number in the name of a picture; its place where it has none."""
    digits = re.findall(r"\d+", PurePath(str(name)).stem)
    return int(digits[-1]) if digits and len(digits[-1]) < 10 else index


_READERS: dict[str, Callable[[Any, str], BodyParameters]] = {
    "phalp": _phalp,
    "wham": _wham,
    "gvhmr": _gvhmr,
    "sam3d": _sam3d,
    "smpl": _smpl,
}
_NAMES = {
    "phalp": "results of 4D-Humans or PHALP",
    "wham": "results of WHAM",
    "gvhmr": "results of GVHMR",
    "sam3d": "results of SAM 3D Body",
    "smpl": "SMPL parameters",
}
