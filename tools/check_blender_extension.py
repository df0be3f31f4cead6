"""Install the extension in a Blender without a window, import a result and look at it:

    blender --background --factory-startup --python tools/check_blender_extension.py -- \\
        kinflow_import.zip OUT_FOLDER RESULT_FOLDER ...

The same runs as a plain script where `bpy` is installed as a module. Joints are projected through
Blender's camera in up to five frames and compared with `joints_px` of `people.npz`; that nowhere
they are off by more than `LIMIT_PX`, that rate, range and background are right and that the panel
draws is checked. Renders over the photo or clip are written to be looked at.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

LIMIT_PX = 0.5


def main(archive: Path, out: Path, *results: Path) -> None:
    for result in results:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        install(archive)
        check(result, out)


def check(result: Path, out: Path) -> None:
    """Import a result, compare it with `people.npz`, render it."""
    done = bpy.ops.kinflow.import_result(directory=str(result), render_over=True)
    assert done == {"FINISHED"}, done
    scene = bpy.context.scene
    with np.load(result / "people.npz", allow_pickle=False) as arrays:
        people = dict(arrays)
    print("Blender", bpy.app.version_string, "objects", [o.name for o in scene.objects])
    render = scene.render
    print("rate", render.fps / render.fps_base, "range", scene.frame_start, scene.frame_end)
    behind = scene.camera.data.background_images[0]
    print("behind", behind.clip and (behind.clip.filepath, behind.clip.frame_start), behind.image)
    worst = compare(scene, people)
    print(f"joints at most {worst:.3f} px from those of people.npz")
    assert worst < LIMIT_PX
    print("panel:", *panel(), sep="\n  ")
    prepare(scene)
    for frame in sorted({scene.frame_start, (scene.frame_start + scene.frame_end) // 2}):
        if len(people["frame_index"]) == 1 and frame != scene.frame_current:
            continue
        scene.frame_set(frame)
        scene.render.filepath = str(out / f"{result.name}_{bpy.app.version[0]}_{frame}.png")
        bpy.ops.render.render(write_still=True)


def install(archive: Path) -> None:
    """As an extension where Blender has these, as an add-on before."""
    if bpy.app.version >= (4, 2, 0):
        bpy.ops.extensions.package_install_files(
            filepath=str(archive), repo="user_default", enable_on_install=True
        )
    else:
        bpy.ops.preferences.addon_install(filepath=str(archive), overwrite=True)
        bpy.ops.preferences.addon_enable(module="kinflow_import")


def compare(scene, people: dict) -> float:
    """Largest distance in pixels between joints here and in `people.npz`."""
    size = Vector((scene.render.resolution_x, scene.render.resolution_y))
    armatures = {o["kinflow_person"]: o for o in scene.objects if "kinflow_person" in o}
    times = dict(zip(people["frame_index"].tolist(), people["frame_time_s"].tolist(), strict=True))
    rate = scene.render.fps / scene.render.fps_base
    start = min(times.values())
    rows = np.unique(np.linspace(0, len(people["person"]) - 1, 5).astype(int))
    worst = 0.0
    for row in rows:
        if len(times) > 1:
            scene.frame_set(1 + round((times[int(people["frame"][row])] - start) * rate))
        armature = armatures[int(people["person"][row])]
        for name, expected in zip(people["joint_names"], people["joints_px"][row], strict=True):
            head = armature.matrix_world @ armature.pose.bones[str(name)].head
            seen = world_to_camera_view(scene, scene.camera, head)
            here = Vector((seen.x * size.x, (1 - seen.y) * size.y))
            worst = max(worst, (here - Vector(map(float, expected))).length)
    return worst


def panel() -> list[str]:
    """The texts of the sidebar's panel, which no window shows here."""
    layout = Layout([])
    bpy.types.KINFLOW_PT_people.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout.texts


@dataclass
class Layout:
    """Writes down what is drawn, in place of Blender's own."""

    texts: list[str]

    def label(self, text: str, **_how: object) -> None:
        self.texts.append(text)

    def operator(self, name: str, text: str = "", **_how: object) -> SimpleNamespace:
        self.texts.append(text or name)
        return SimpleNamespace()

    def row(self, **_how: object) -> "Layout":
        return self

    box = column = row


def prepare(scene) -> None:
    """A light, and a quick renderer that needs no display."""
    bpy.ops.object.light_add(type="SUN", rotation=(0.6, 0.3, 0))
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 8
    scene.cycles.use_denoising = False
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_percentage = 50


if __name__ == "__main__":
    given = sys.argv[sys.argv.index("--") + 1 :]
    main(*(Path(name).absolute() for name in given))
