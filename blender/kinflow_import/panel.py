# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: 2026 the kinflow authors
"""The menu entry, and the panel that says how far each body can be relied on."""

import json
from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from . import scene as scenes
from .result import ResultError, code_at

_ICONS = {
    "": "HIDE_ON",
    "ok": "CHECKMARK",
    "implausible": "CANCEL",
    "poor_fit": "CANCEL",
    "few_keypoints": "CANCEL",
}
_CHAR_PX, _MARGIN_CHARS = 7.5, 4
"""About how wide letters and margins of a panel are, before the interface is scaled."""
_USUAL_CHARS = 25


class KINFLOW_OT_import_result(bpy.types.Operator):
    """Import people, camera and background of a photo or clip that kinflow reconstructed"""

    bl_idname = "kinflow.import_result"
    bl_label = "Import kinflow result"
    bl_options = {"REGISTER", "UNDO"}

    directory: StringProperty(name="Folder", subtype="DIR_PATH", options={"SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})
    background: BoolProperty(
        name="Picture behind", description="Show the photo or clip behind the people", default=True
    )
    set_scene: BoolProperty(
        name="Set up the scene",
        description="Take over resolution, frame rate and range, and look through the camera",
        default=True,
    )
    render_over: BoolProperty(
        name="Render over the picture",
        description="Set up the compositor so that renders have the picture behind people",
        default=False,
    )

    def invoke(self, context, _event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        folder = Path(bpy.path.abspath(self.directory))
        options = {name: getattr(self, name) for name in ("background", "set_scene", "render_over")}
        try:
            collection, notes = scenes.import_result(context, folder, **options)
        except ResultError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for note in notes:
            self.report({"WARNING"}, note)
        if self.set_scene:
            _look_through_camera(context)
        people = sum(scenes.PERSON in thing for thing in collection.objects)
        self.report({"INFO"}, f"{folder.name}: {people} {'person' if people == 1 else 'people'}")
        return {"FINISHED"}


class KINFLOW_OT_select_person(bpy.types.Operator):
    """Select the armature of this person"""

    bl_idname = "kinflow.select_person"
    bl_label = "Select person"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(options={"HIDDEN"})

    def execute(self, context):
        armature = context.scene.objects.get(self.name)
        if armature is None:
            return {"CANCELLED"}
        for thing in context.selected_objects:
            thing.select_set(False)
        armature.select_set(True)
        context.view_layer.objects.active = armature
        return {"FINISHED"}


class KINFLOW_PT_people(bpy.types.Panel):
    """People and how far they can be relied on"""

    bl_idname = "KINFLOW_PT_people"
    bl_label = "People"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "kinflow"

    def draw(self, context):
        layout = self.layout
        layout.operator(KINFLOW_OT_import_result.bl_idname, icon="IMPORT")
        for collection in context.scene.collection.children_recursive:
            people = [thing for thing in collection.objects if scenes.PERSON in thing]
            if not people:
                continue
            layout.label(text=collection.name, icon="OUTLINER_COLLECTION")
            for armature in sorted(people, key=lambda thing: thing[scenes.PERSON]):
                _draw_person(layout.box(), armature, context)


def _draw_person(box, armature, context):
    frame = context.scene.frame_current
    code = code_at(json.loads(armature[scenes.RUNS]), frame)
    row = box.row()
    select = row.operator(
        KINFLOW_OT_select_person.bl_idname,
        text=f"Person {armature[scenes.PERSON]}: {code or 'out of view'}",
        icon=_ICONS.get(code, "INFO"),
    )
    select.name = armature.name
    column = box.column(align=True)
    for text in (armature[scenes.SUMMARY], scenes.code_sentence(code)):
        for line in lines(text, _width_chars(context)) if text else ():
            column.label(text=line)


def _width_chars(context):
    """How many characters a line of the sidebar shows."""
    if context.region is None:
        return _USUAL_CHARS
    scale = context.preferences.system.ui_scale
    return max(_USUAL_CHARS // 2, int(context.region.width / (_CHAR_PX * scale)) - _MARGIN_CHARS)


def lines(text, most_chars):
    """A text in lines of at most so many characters."""
    rows = [""]
    for word in text.split():
        if rows[-1] and len(rows[-1]) + len(word) >= most_chars:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return rows


def _look_through_camera(context):
    for area in context.screen.areas if context.screen else ():
        if area.type == "VIEW_3D":
            area.spaces.active.region_3d.view_perspective = "CAMERA"


def _menu(self, _context):
    self.layout.operator(KINFLOW_OT_import_result.bl_idname, text="kinflow result folder")


_CLASSES = (KINFLOW_OT_import_result, KINFLOW_OT_select_person, KINFLOW_PT_people)


def register():
    """Make operators, panel and menu entry known to Blender."""
    for kind in _CLASSES:
        bpy.utils.register_class(kind)
    bpy.types.TOPBAR_MT_file_import.append(_menu)


def unregister():
    """Undo `register`."""
    bpy.types.TOPBAR_MT_file_import.remove(_menu)
    for kind in reversed(_CLASSES):
        bpy.utils.unregister_class(kind)
