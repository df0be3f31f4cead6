# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: 2026 the kinflow authors
"""Puts a result into the open scene: people, motion, camera, what is behind them, rate and range.

`scene.glb` goes through Blender's own importer, which knows its axes (z up) and metres. What glTF
cannot say is added: principal points beside the middle, lenses that change, the picture, the rate.
"""

import json
import os
import re
import tempfile

import addon_utils
import bpy
import numpy as np

from . import compositing, pictures
from .lens import SENSOR_MM
from .result import ANEW, SCENE, SENTENCES, ResultError, code_runs, read, summary
from .timing import FIRST, Timing

RUNS = "kinflow_codes"
"""Property of armatures: a person's codes over time, as JSON."""
PERSON, SUMMARY = "kinflow_person", "kinflow_summary"
_NAME = re.compile(r"person_(\d+)(_body)?(\.\d+)?")
_HEAD_BYTES = 1 << 18


def import_result(context, folder, background=True, set_scene=True, render_over=False):
    """Import a result folder into the scene of a context.

    Args:
        context: of Blender.
        folder: the result folder of a photo or clip.
        background: put the photo or clip behind the people, seen through the camera.
        set_scene: set the scene's resolution, rate, range and camera.
        render_over: render people over the photo or clip, by the compositor.

    Returns:
        The collection of what was imported, and sentences about what is not as one might expect.

    Raises:
        ResultError: the folder cannot be imported; the scene is as before.
    """
    result = read(folder)
    timing = Timing.of(result.views)
    objects = _import_glb(context, result)
    collection = bpy.data.collections.new(result.folder.name)
    context.scene.collection.children.link(collection)
    camera = next(thing for thing in objects if thing.type == "CAMERA")
    for thing in objects:
        found = _NAME.fullmatch(thing.name)
        if thing.type == "ARMATURE" and found:
            _describe(thing, result, int(found[1]), timing)
        elif thing is not camera and not (thing.type == "MESH" and found):
            continue
        _move(thing, collection)
        thing.select_set(False)  # outlines would hide how bodies lie on the picture
    _retime(objects, timing)
    _set_lens(camera.data, result.views, timing)
    if set_scene:
        _set_scene(context.scene, result, timing, camera)
    notes = _behind(context.scene, camera, result, timing, render_over) if background else []
    return collection, notes


def _import_glb(context, result):
    """Import `scene.glb` at a whole rate; returns the new objects."""
    addon_utils.enable("io_scene_gltf2")
    if "bool" not in vars(np):  # the importer of Blender 3 asks for a name that numpy dropped
        np.bool = bool
    render, before = context.scene.render, set(bpy.data.objects)
    rate = render.fps, render.fps_base
    known = bpy.ops.import_scene.gltf.get_rna_type().properties
    options = {"disable_bone_shape": True} if "disable_bone_shape" in known else {}
    # importers differ in whether they count `fps_base`, so that it is one for the moment
    render.fps, render.fps_base = 1000, 1.0
    try:
        bpy.ops.import_scene.gltf(filepath=str(result.folder / SCENE), **options)
        whole = True
    except RuntimeError:  # the importer's own traceback
        whole = False
    finally:
        keys_per_s = render.fps
        render.fps, render.fps_base = rate
    objects = [thing for thing in bpy.data.objects if thing not in before]
    if not whole or all(thing.type != "CAMERA" for thing in objects):
        for thing in objects:
            bpy.data.objects.remove(thing)
        raise ResultError(f"'{result.folder.name}/{SCENE}' {ANEW}")
    for action in _actions(objects):
        for curve in curves_of(action):
            _map_keys(curve, lambda frames: frames / keys_per_s)
    return objects


def _actions(objects):
    """Actions of objects, each once; what the importer also stashed on NLA tracks goes."""
    actions = {}
    for thing in objects:
        if thing.animation_data:
            for track in tuple(thing.animation_data.nla_tracks):
                thing.animation_data.nla_tracks.remove(track)
            if thing.animation_data.action:
                actions[thing.animation_data.action.name] = thing.animation_data.action
    return actions.values()


def curves_of(action):
    """All curves of an action, before and after actions had slots (Blender 4.4)."""
    if hasattr(action, "layers"):
        strips = (strip for layer in action.layers for strip in layer.strips)
        return [curve for strip in strips for bag in strip.channelbags for curve in bag.fcurves]
    return list(action.fcurves)


def _map_keys(curve, new_frames):
    """Move the keys of a curve, all at once."""
    points = curve.keyframe_points
    at = np.empty(2 * len(points), np.float32)
    for name in ("co", "handle_left", "handle_right"):
        points.foreach_get(name, at)
        at[::2] = new_frames(at[::2].astype(np.float64))
        points.foreach_set(name, at)
    curve.update()


def _retime(objects, timing):
    """From seconds after the first frame to frames of the scene."""
    for action in _actions(objects):
        for curve in curves_of(action):
            _map_keys(curve, lambda times_s: [timing.after(time_s) for time_s in times_s])


def _describe(armature, result, person, timing):
    armature[PERSON] = person
    armature[SUMMARY] = summary(result, person)
    armature[RUNS] = json.dumps(code_runs(result, person, timing.of_view))
    armature.data.display_type = "STICK"
    armature.show_in_front = True


def _move(thing, collection):
    for other in tuple(thing.users_collection):
        other.objects.unlink(thing)
    collection.objects.link(thing)


def _set_lens(camera, views, timing):
    """Lens and shift of a camera, with keys where they change."""
    camera.sensor_fit, camera.sensor_width = "HORIZONTAL", SENSOR_MM
    camera.lens_unit = "MILLIMETERS"
    changes = any(view.lens != views[0].lens for view in views)
    for view in views if changes else views[:1]:
        camera.lens = view.lens.lens_mm
        camera.shift_x, camera.shift_y = view.lens.shift
        if changes:
            for name in ("lens", "shift_x", "shift_y"):
                camera.keyframe_insert(name, frame=timing.of_view(view))


def _set_scene(scene, result, timing, camera):
    render = scene.render
    render.resolution_x, render.resolution_y = result.views[0].lens.image_size
    render.resolution_percentage = 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    scene.camera = camera
    if result.is_clip:
        render.fps, render.fps_base = timing.fps, timing.fps_base
        scene.frame_start = FIRST
        scene.frame_end = max(FIRST, round(timing.of_view(result.views[-1])))
        scene.frame_set(FIRST)


def _behind(scene, camera, result, timing, render_over):
    """Put the photo or clip behind the people; returns what there is to say."""
    picture, notes = _clip(result, timing) if result.is_clip else _photo(result)
    if picture is None:
        return notes
    camera.data.show_background_images = True
    behind = camera.data.background_images.new()
    if result.is_clip:
        behind.source, behind.clip = "MOVIE_CLIP", picture
    else:
        behind.source, behind.image = "IMAGE", picture
    behind.alpha, behind.frame_method, behind.display_depth = 1.0, "FIT", "BACK"
    if render_over:
        notes += compositing.render_over(scene, picture)
    return notes


def _clip(result, timing):
    path, same = pictures.find_source(result)
    clip = None if path is None else _loaded(bpy.data.movieclips, path)
    if clip is not None and _same_shape(clip.size, result):
        clip.frame_start = timing.clip_start
        return clip, [] if same else [f"'{path.name}' has changed since."]
    drawn = next((p for p in sorted(result.folder.glob("overlay.*")) if p.is_file()), None)
    clip = _loaded(bpy.data.movieclips, drawn) if drawn and result.has_all_frames else None
    if clip is None:
        return None, [f"'{result.source}' cannot be shown; put it beside the result folder."]
    clip.frame_start = FIRST
    return clip, [
        f"'{result.source}' is not found, or stored on its side; {drawn.name} is behind the people "
        "instead, which are drawn in it, too."
    ]


def _photo(result):
    path, same = pictures.find_source(result)
    notes = [] if same or path is None else [f"'{path.name}' has changed since."]
    if path is not None and path.suffix.lower() in pictures.IMAGES:
        image = _loaded(bpy.data.images, path)
        if image is not None:
            with open(path, "rb") as stream:
                held = pictures.orientation(stream.read(_HEAD_BYTES))
            image = image if held == 1 else _upright(image, held)
            if _same_shape(image.size, result):
                return image, notes
    data = pictures.photo_of_viewer(result.folder)
    if data is None:
        return None, [f"'{result.source}' cannot be shown; put it beside the result folder."]
    return _of_bytes(data, result.folder.name), notes


def _loaded(kind, path):
    """A clip or picture; None where Blender cannot read it."""
    try:
        loaded = kind.load(str(path))
    except RuntimeError:
        return None
    if min(loaded.size) < 1:
        kind.remove(loaded)
        return None
    return loaded


def _same_shape(size, result):
    """Whether a picture is as wide for its height as the camera's; the overlay loses odd pixels."""
    width, height = result.views[0].lens.image_size
    return abs(size[0] * height - size[1] * width) <= 2 * max(width, height, *size)


def _upright(image, held):
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    # Blender's first row is the lowest one
    turned = pictures.upright(pixels.reshape(height, width, 4)[::-1], held)[::-1]
    new = bpy.data.images.new(image.name, turned.shape[1], turned.shape[0])
    new.pixels.foreach_set(np.ascontiguousarray(turned).ravel())
    new.pack()
    bpy.data.images.remove(image)
    return new


def _of_bytes(data, name):
    handle, path = tempfile.mkstemp(".jpg")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        image = bpy.data.images.load(path)
        image.pack()
    finally:
        os.unlink(path)
    image.name = name
    return image


def code_sentence(code):
    """What a code means; empty for codes of later versions."""
    return SENTENCES.get(code, "")
