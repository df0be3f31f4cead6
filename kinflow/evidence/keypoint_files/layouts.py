"""Which tool wrote a file, and where its people are.

A file is recognised by its structure: what its top is, and the fields of its first entry. Six
structures cover the tools; what tells two tools of one structure apart is only needed for the
name that messages say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kinflow.body.keypoints import COCO17
from kinflow.errors import InputError
from kinflow.evidence.keypoint_files.coco import read_annotations, wholebody_points
from kinflow.evidence.keypoint_files.landmarks import (
    flat_landmarks,
    has_landmarks,
    named_points,
    read_landmarks,
)
from kinflow.evidence.keypoint_files.listing import (
    BoxForm,
    Entry,
    ImageRef,
    Listing,
    fields_of,
    id_text,
    image_ref,
    stated_size,
    word,
)
from kinflow.evidence.keypoint_files.unread import unread_layout
from kinflow.evidence.keypoint_files.values import describe, is_number, objects, text

_LOOKED_AT = 100
# What people put around the results of a tool.
_WRAPPERS = ("results", "result", "frames", "data")


def read_listing(content: Any) -> Listing:
    """The people that the content of a JSON file lists.

    Raises:
        InputError: the content has none of the known structures, or breaks its own.
    """
    if isinstance(content, dict):
        return _of_object(content)
    if isinstance(content, list):
        return _of_list(content)
    raise _unknown(f"the file holds {describe(content)}", content)


def _unknown(what: str, content: Any = None) -> InputError:
    known = unread_layout(content)
    if known is not None:
        return InputError(f"the file holds {known}")
    return InputError(
        f"{what}, which is no layout of keypoints that kinflow knows (OpenPose, AlphaPose, COCO, "
        "MMPose, DWPose, Ultralytics, tfjs, MediaPipe or kinflow's people.json)"
    )


def _of_object(content: dict[str, Any]) -> Listing:
    if word(content.get("format")).startswith("kinflow people"):
        return _kinflow(content)
    if "annotations" in content:
        return read_annotations(content)
    if "people" in content or "bodies" in content:
        return _frames([content], "")
    if "instance_info" in content:
        return _mmpose_demo(content)
    if isinstance(content.get("predictions"), list):
        return _renamed(_of_list(content["predictions"]), "predictions")
    if "keypoints" in content or isinstance(content.get("pose"), dict):
        return _one_object(content)
    if has_landmarks(content):
        return read_landmarks([content])
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), list | dict):
            return read_listing(content[wrapper])
    if "animals" in content:
        raise InputError("the file lists animals, not people")
    if unread_layout(content) is not None:
        raise _unknown("", content)
    return named_points(content) or _by_image_name(content)


def _of_list(content: list[Any]) -> Listing:
    first = content[0] if content else None
    if first is None and not any(content):
        return Listing("entries", "a list", ())
    if isinstance(first, dict):
        entries = objects(content, "the list")
        if "people" in first or "bodies" in first:
            return _frames(entries, "the list")
        if "instances" in first:
            return _mmpose_frames(entries)
        if has_landmarks(first):
            return read_landmarks(entries)
        if any("keypoints" in e or "pose" in e for e in entries[:_LOOKED_AT]):
            return _entries(entries)
        if "x" in first and "y" in first:
            return read_landmarks([{"landmarks": entries}])
        raise _unknown(f"the list holds {describe(first)} ({fields_of(first)})", content)
    if isinstance(first, list):
        return _of_nested(content)
    rows = flat_landmarks(content)
    if rows is not None:
        return read_landmarks([{"landmarks": rows}])
    raise _unknown(f"the list begins with {describe(first)}")


def _of_nested(content: list[Any]) -> Listing:
    """Lists in a list: MMPose's predictions of a batch, landmarks of several, or mere numbers."""
    inner = next((entry for part in content if isinstance(part, list) for entry in part), None)
    if isinstance(inner, dict):
        if "keypoints" in inner:
            if len(content) != 1:
                raise InputError(
                    f"the file holds the people of {len(content)} images without their names; "
                    "give one file an image"
                )
            return _renamed(_entries(objects(content[0], "the list[0]")), "[0]")
        return read_landmarks([{"landmarks": content}])
    if len(content) == 2 and (_depth(content[0]), _depth(content[1])) == (3, 2):
        return _one_object({"keypoints": content[0], "scores": content[1]})  # rtmlib
    if _depth(content, 4) == 4:
        return _movenet(content)
    people = [content] if is_number(inner) else content
    place = "the list" if is_number(inner) else "the list[{}]"
    return Listing(
        "rows",
        "a list of points",
        tuple(Entry(place.format(i), points) for i, points in enumerate(people)),
    )


def _one_object(content: dict[str, Any]) -> Listing:
    """One person, or the people of one image with their points as rows (editors of poses)."""
    points = content.get("keypoints")
    people = [content]
    if isinstance(points, list) and _depth(points) == 3:
        people = _arrays(content, points)
    size = stated_size(content, ("width", "height"), "")
    image = image_ref(content, "") or ImageRef()
    listing = _entries(people, "the file", replace(image, size=size))
    entries = tuple(
        replace(entry, image=None if entry.image is None else replace(entry.image, size=size))
        for entry in listing.entries
    )
    return replace(listing, entries=entries)


def _arrays(content: dict[str, Any], people: list[Any]) -> list[dict[str, Any]]:
    """The people of an array of points, with the scores that arrays beside it have for them."""
    shared = {key: value for key, value in content.items() if key not in _SCORE_LISTS}
    entries: list[dict[str, Any]] = [{**shared, "keypoints": points} for points in people]
    for key in _SCORE_LISTS:
        scores = content.get(key)
        if not isinstance(scores, list):
            continue
        if len(scores) != len(people):
            raise InputError(f"{key} has {len(scores)} entries, but there are {len(people)} people")
        for entry, score in zip(entries, scores, strict=True):
            entry[key if isinstance(score, list) else "score"] = score
    return entries


def _movenet(content: list[Any]) -> Listing:
    """The output of MoveNet's network as it is: one image, one person, rows of y, x, score."""
    rows = content[0][0] if len(content) == len(content[0]) == 1 else []
    if len(rows) != len(COCO17) or not all(isinstance(r, list) and len(r) == 3 for r in rows):
        raise _unknown("the file holds lists four deep")
    points = [[x, y, score] for y, x, score in rows]
    return Listing("rows", "MoveNet", (Entry("the list[0][0]", points),))


def _depth(value: Any, at_most: int = 3) -> int:
    """How many lists deep the first number is, up to a limit."""
    depth = 0
    while depth < at_most and isinstance(value, list) and value:
        value, depth = value[0], depth + 1
    return depth


def _renamed(listing: Listing, place: str) -> Listing:
    """A listing whose places begin where the list stands."""
    entries = tuple(
        replace(entry, place=entry.place.replace("the list", place, 1)) for entry in listing.entries
    )
    return replace(listing, entries=entries)


# --- OpenPose and its kin: people in frames ---


def _frames(frames: list[dict[str, Any]], place: str) -> Listing:
    bodies = "bodies" in frames[0]
    entries: list[Entry] = []
    images: list[ImageRef] = []
    for i, frame in enumerate(frames):
        here = f"{place}[{i}]." if place else ""
        image = _image_of_frame(frame, here, f"frame {i}" if len(frames) > 1 else None)
        if image is not None:
            images.append(image)
        key = "bodies" if bodies else "people"
        for k, person in enumerate(objects(frame.get(key), f"{here}{key}")):
            points, name = _openpose_points(person)
            entries.append(Entry(f"{here}{key}[{k}].{name}", points, image=image))
    first = frames[0]
    if bodies or "AlphaPose" in word(first.get("version")):
        tool = "AlphaPose"
    elif "canvas_width" in first or place:
        tool = "DWPose or ControlNet"
    else:
        tool = "OpenPose"
    return Listing("bodies" if bodies else "people", tool, tuple(entries), tuple(images))


def _openpose_points(person: dict[str, Any]) -> tuple[Any, str]:
    for key in ("pose_keypoints_2d", "pose_keypoints", "joints", "keypoints"):
        if key in person:
            return person[key], key
    if any("keypoints" in key for key in person):
        return None, "pose_keypoints_2d"
    raise InputError(
        "a person has to have its points in pose_keypoints_2d, but one has only "
        f"{fields_of(person) or 'nothing'}"
    )


def _image_of_frame(frame: dict[str, Any], place: str, number_of: str | None) -> ImageRef | None:
    size = stated_size(frame, ("canvas_width", "canvas_height"), place)
    ref = image_ref(frame, place)
    name = None if ref is None else ref.name
    key = number_of if ref is None else ref.id
    return None if (name, key, size) == (None, None, None) else ImageRef(name, key, size)


def _by_image_name(content: dict[str, Any]) -> Listing:
    """An object with one entry an image, by the image's name (AlphaPose's cmu and open formats)."""
    parts: list[Listing] = []
    for name, value in content.items():
        known = isinstance(value, dict) and any(k in value for k in ("people", "bodies"))
        listed = isinstance(value, list) and any(
            isinstance(v, dict) and "keypoints" in v for v in value
        )
        if not known and not listed:
            raise _unknown(f"the file is an object of {fields_of(content) or 'nothing'}")
        part, image = read_listing(value), ImageRef(name=name)
        entries = tuple(
            replace(e, place=f"{describe(name)}.{e.place}", image=_sized(image, e.image))
            for e in part.entries
        )
        parts.append(replace(part, entries=entries, images=(image,)))
    if not parts:
        raise _unknown("the file is an empty object")
    return replace(
        parts[0],
        entries=tuple(entry for part in parts for entry in part.entries),
        images=tuple(image for part in parts for image in part.images),
    )


def _sized(image: ImageRef, other: ImageRef | None) -> ImageRef:
    return image if other is None else replace(image, size=other.size)


# --- lists of entries with keypoints: COCO results, AlphaPose, MMPose, Ultralytics, tfjs ---


def _entries(
    values: list[dict[str, Any]],
    place: str = "the list",
    image: ImageRef | None = None,
    names: tuple[str, ...] | None = None,
) -> Listing:
    entries = []
    for i, value in enumerate(values):
        here = f"{place}[{i}]"
        if isinstance(value.get("pose"), dict):  # ml5
            value = value["pose"]
        box, form = _box_of(value)
        scores = next((value[k] for k in _SCORE_LISTS if isinstance(value.get(k), list)), None)
        entries.append(
            Entry(
                f"{here}.keypoints",
                wholebody_points(value) or value.get("keypoints"),
                scores=scores,
                names=names,
                image=image_ref(value, f"{here}.") or image,
                box=box,
                box_form=form,
                score=next((value[k] for k in _PERSON_SCORES if value.get(k) is not None), None),
            )
        )
    return Listing("entries", _tool_of(values), tuple(entries))


_SCORE_LISTS = ("keypoint_scores", "keypoints_scores", "kp_score", "kp_scores", "scores")
_PERSON_SCORES = ("score", "bbox_score", "confidence")


def _tool_of(values: list[dict[str, Any]]) -> str:
    value = next((v for v in values if v.get("keypoints") or v.get("pose")), {})
    keypoints = value.get("keypoints")
    if "pose" in value:
        return "ml5"
    if isinstance(keypoints, dict):
        return "Ultralytics" if "x" in keypoints else "a list of named points"
    if isinstance(keypoints, list) and keypoints and isinstance(keypoints[0], dict):
        return "tfjs or ml5"
    if any(key in value for key in _SCORE_LISTS):
        return "MMPose"
    if isinstance(value.get("image_id"), str) and ("box" in value or "idx" in value):
        return "AlphaPose"
    return "COCO results"


def _box_of(value: dict[str, Any]) -> tuple[Any, BoxForm]:
    """The box of an entry and its form; an object of corners becomes a list."""
    box = value.get("bbox")
    if box is None:
        box = value.get("box")
    if isinstance(box, dict):
        for corners in (("x1", "y1", "x2", "y2"), ("xMin", "yMin", "xMax", "yMax")):
            if all(key in box for key in corners):
                return [box[key] for key in corners], "x0, y0, x1, y1"
        return None, "x0, y0, x1, y1"
    if isinstance(box, list) and len(box) == 1 and isinstance(box[0], list):  # MMPose
        return box[0], "x0, y0, x1, y1"
    corners = "keypoint_scores" in value or "keypoints_scores" in value
    return box, "x0, y0, x1, y1" if corners else "x, y, width, height"


def _mmpose_demo(content: dict[str, Any]) -> Listing:
    meta = content.get("meta_info")
    names = _mmpose_names(meta) if isinstance(meta, dict) else None
    instances = objects(content["instance_info"], "instance_info")
    if any("instances" in instance for instance in instances):
        return _mmpose_frames(instances, names)
    return replace(_entries(instances, "instance_info", names=names), tool="MMPose")


def _mmpose_names(meta: dict[str, Any]) -> tuple[str, ...] | None:
    names = meta.get("keypoint_id2name")
    if not isinstance(names, dict) or not names:
        return None
    try:
        ordered = sorted(names, key=int)
    except ValueError:
        raise InputError("meta_info.keypoint_id2name has to go by the points' numbers") from None
    return tuple(text(names[k], f"meta_info.keypoint_id2name.{k}") for k in ordered)


def _mmpose_frames(frames: list[dict[str, Any]], names: tuple[str, ...] | None = None) -> Listing:
    entries: list[Entry] = []
    for i, frame in enumerate(frames):
        here = f"the list[{i}]"
        key = f"frame {id_text(frame.get('frame_id', i), f'{here}.frame_id')}"
        image = image_ref(frame, f"{here}.") or (ImageRef(id=key) if len(frames) > 1 else None)
        instances = objects(frame.get("instances"), f"{here}.instances")
        entries += _entries(instances, f"{here}.instances", image, names).entries
    return Listing("entries", "MMPose", tuple(entries))


# --- kinflow's own results ---


def _kinflow(content: dict[str, Any]) -> Listing:
    source = content.get("source")
    size = content.get("image_size")
    if size is not None:
        if not isinstance(size, list) or len(size) != 2:
            raise InputError(f"image_size has to be two numbers, but it is {describe(size)}")
        size = stated_size({"w": size[0], "h": size[1]}, ("w", "h"), "image_size.")
    image = ImageRef(text(source, "source") if source else None, None, size)
    people = objects(content.get("people"), "people")
    entries = tuple(
        Entry(f"people[{i}].keypoints_px", p.get("keypoints_px"), image=image, score=p.get("score"))
        for i, p in enumerate(people)
    )
    return Listing("kinflow", "kinflow's own result", entries, (image,))
