"""Open results in Blender and render them, to be looked at; run by Blender, not by Python:

    blender --background --python tools/look_in_blender.py -- RESULT_FOLDER OUT_FOLDER

`scene.glb` is imported by Blender's own importer and rendered through its camera and from the side,
at the start, in the middle and at the end. Each `person_<id>.bvh` is imported beside that; how far
its joints are from those of `scene.glb` is printed, and its bones are drawn as sticks.
"""

import math
import sys
from pathlib import Path

import bpy
import io_anim_bvh.import_bvh
import numpy as np
from mathutils import Vector

# Debian's Blender 3.4 asks for what its numpy and its Python have dropped
if "bool" not in vars(np):
    np.bool = bool
io_anim_bvh.import_bvh.open = lambda path, _mode: open(path)  # noqa: SIM115


def main(result: Path, out: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 16
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 480, 360
    scene.world = bpy.data.worlds.new("world")
    scene.world.color = (0.9, 0.9, 0.92)
    scene.render.fps = 30
    bpy.ops.import_scene.gltf(filepath=str(result / "scene.glb"))
    armatures = [o for o in scene.objects if o.type == "ARMATURE"]
    print("armatures:", [a.name for a in armatures], "actions:", [a.name for a in bpy.data.actions])
    last = max((int(a.frame_range[1]) for a in bpy.data.actions), default=0)
    add_light_and_floor()
    through = next(o for o in scene.objects if o.type == "CAMERA")
    aside = add_side_camera()
    for frame in (0, last // 2, last):
        scene.frame_set(frame)
        for name, camera in (("camera", through), ("side", aside)):
            scene.camera = camera
            scene.render.filepath = str(out / f"glb_{name}_{frame}.png")
            bpy.ops.render.render(write_still=True)
    compare(result, armatures)
    for o in scene.objects:
        if o.type == "MESH" and o.name != "floor":
            o.hide_render = True
    scene.camera = aside
    for frame in (0, last // 2, last):
        scene.frame_set(frame)
        sticks = draw_bones([o for o in scene.objects if o.get("bvh")])
        scene.render.filepath = str(out / f"bvh_side_{frame}.png")
        bpy.ops.render.render(write_still=True)
        for stick in sticks:
            bpy.data.objects.remove(stick)


def compare(result: Path, armatures: list) -> None:
    """Import the BVH files and print how far their joints are from those of `scene.glb`."""
    for path in sorted(result.glob("person_*.bvh")):
        bpy.ops.import_anim.bvh(
            filepath=str(path), global_scale=0.01, update_scene_fps=False, use_fps_scale=True
        )
        moved = bpy.context.object
        moved["bvh"] = True
        twin = next(a for a in armatures if a.name == path.stem)
        keys = [
            key.co
            for curve in twin.animation_data.action.fcurves
            if curve.data_path == "scale"
            for key in curve.keyframe_points
        ]
        start = min((frame for frame, scale in keys if scale == 1), default=0)
        first, last = moved.animation_data.action.frame_range
        worst_m = 0.0
        for share in (0.0, 0.3, 0.6, 0.99):
            after = share * (last - first) + 1e-3
            theirs, ours = heads_m(moved, first + after), heads_m(twin, start + after)
            worst_m = max(worst_m, *((theirs[n] - ours[n]).length for n in theirs))
        print(f"{path.name}: joints at most {1000 * worst_m:.1f} mm from those of scene.glb")


def heads_m(armature, frame: float) -> dict:
    """Places of the joints by name, without the numbers that Blender adds to names."""
    bpy.context.scene.frame_set(int(frame), subframe=frame % 1)
    heads = {b.name: armature.matrix_world @ b.head for b in armature.pose.bones}
    return {name.split(".")[0]: head for name, head in heads.items()}


def draw_bones(armatures: list) -> list:
    sticks = []
    material = bpy.data.materials.new("stick")
    material.use_nodes = True
    material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (
        0.8,
        0.1,
        0,
        1,
    )
    for armature in armatures:
        for bone in armature.pose.bones:
            a, b = (armature.matrix_world @ p for p in (bone.head, bone.tail))
            bpy.ops.mesh.primitive_cylinder_add(
                radius=0.02, depth=(b - a).length, location=(a + b) / 2, vertices=6
            )
            stick = bpy.context.object
            stick.rotation_mode = "QUATERNION"
            stick.rotation_quaternion = (b - a).to_track_quat("Z", "Y")
            stick.data.materials.append(material)
            sticks.append(stick)
    return sticks


def add_light_and_floor() -> None:
    bpy.ops.object.light_add(type="SUN", rotation=(math.radians(35), math.radians(20), 0))
    bpy.context.object.data.energy = 3
    bpy.ops.mesh.primitive_plane_add(size=12, location=(0, 4.5, 0))
    bpy.context.object.name = "floor"


def add_side_camera():
    """Far to the right of where people usually are, looking across at them."""
    bpy.ops.object.camera_add(location=(7.5, 4.5, 1.8))
    camera = bpy.context.object
    camera.rotation_euler = (
        (Vector((0, 4.5, 0.9)) - camera.location).to_track_quat("-Z", "Y").to_euler()
    )
    return camera


if __name__ == "__main__":
    folders = sys.argv[sys.argv.index("--") + 1 :]
    main(*(Path(folder).absolute() for folder in folders))
