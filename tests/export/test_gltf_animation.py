"""scene.glb of clips: the animation gives the bodies of every frame."""

import io

import numpy as np
import pytest
import trimesh
from glb_reader import Glb, skin_nodes
from moving_people import walking_clip

from kinflow.export.gltf import scene_glb
from kinflow.export.stage import Stage
from kinflow.results import Reconstruction


@pytest.fixture(scope="module")
def turning() -> Reconstruction:
    return walking_clip(40, turns=True)


@pytest.fixture(scope="module", params=["clip", "turning"])
def case(request) -> tuple[Reconstruction, Glb]:
    """A clip of a still or of a turning camera, and its scene."""
    clip = request.getfixturevalue(request.param)
    return clip, Glb(scene_glb(clip))


def times_s(clip: Reconstruction) -> dict[int, float]:
    return {frame.index: frame.time_s - clip.frames[0].time_s for frame in clip.frames}


def test_skinning_gives_the_bodies_of_each_frame(case):
    clip, glb = case
    stage = Stage.of(clip)
    worst_m = 0.0
    for node, track in zip(skin_nodes(glb), clip.tracks, strict=True):
        for body in track.bodies[::9]:
            R = stage.R_world_cam[stage.row_of_frame[body.frame]]
            world_m = glb.skinned(node, times_s(clip)[body.frame])
            in_camera_m = (world_m - [0, stage.camera_height_m, 0]) @ R
            error_m = np.linalg.norm(in_camera_m - body.vertices().numpy(), axis=-1)
            worst_m = max(worst_m, error_m.max())
    assert worst_m < 1e-4


def test_people_keep_to_the_floor(case):
    clip, glb = case
    lowest_m = [
        min(glb.skinned(node, time_s)[:, 1].min() for node in skin_nodes(glb))
        for index, time_s in times_s(clip).items()
        if index % 4 == 0 and index >= 8
    ]
    assert -0.1 < min(lowest_m) < 0.05


def test_through_the_camera_of_each_frame_bodies_lie_on_the_picture(case):
    clip, glb = case
    index = next(i for i, n in enumerate(glb.json["nodes"]) if "camera" in n)
    lens = glb.json["cameras"][0]["perspective"]
    width, height = clip.camera.image_size
    focal_px = height / 2 / np.tan(lens["yfov"] / 2)
    moves = any(c["target"]["node"] == index for c in glb.json["animations"][0]["channels"])
    assert moves == Stage.of(clip).turns
    for body in clip.tracks[0].bodies[5::13]:
        time_s = times_s(clip)[body.frame]
        world_node = glb.world(time_s)[index]
        seen = (glb.skinned(skin_nodes(glb)[0], time_s) - world_node[:3, 3]) @ world_node[:3, :3]
        px = seen[:, :2] / -seen[:, 2:] * [focal_px, -focal_px] + [width / 2, height / 2]
        np.testing.assert_allclose(px, body.camera.project(body.vertices()), atol=0.05)


def test_who_is_not_there_yet_is_not_drawn(clip):
    glb = Glb(scene_glb(clip))
    node, track = skin_nodes(glb)[1], clip.tracks[1]
    assert track.bodies[0].frame == 8
    assert np.ptp(glb.skinned(node, times_s(clip)[7]), axis=0).max() < 1e-6
    assert np.ptp(glb.skinned(node, times_s(clip)[8]), axis=0).max() > 1
    gap = glb.skinned(node, times_s(clip)[23])
    assert np.ptp(gap, axis=0).max() > 1  # in a gap the person goes on
    first = glb.skinned(node)
    np.testing.assert_allclose(first, glb.skinned(node, times_s(clip)[8]), atol=1e-5)


def test_who_has_left_is_not_drawn():
    whole = walking_clip(12)
    shown = [whole.people_of(i)[:1] if i < 9 else () for i in range(12)]
    clip = Reconstruction.of_frames(whole.frames, shown)
    glb = Glb(scene_glb(clip))
    (node,) = skin_nodes(glb)
    assert np.ptp(glb.skinned(node, times_s(clip)[8]), axis=0).max() > 1
    assert np.ptp(glb.skinned(node, times_s(clip)[9]), axis=0).max() < 1e-6


def test_a_frame_costs_a_few_hundred_bytes(clip):
    sizes = [len(scene_glb(walking_clip(n, gap=(0, 0)))) for n in (20, 40)]
    people_frames = 2 * 20
    assert (sizes[1] - sizes[0]) / people_frames < 400
    animation = Glb(scene_glb(clip)).json["animations"][0]
    assert len(animation["channels"]) < 2 * 22 + 2  # toes are still
    assert len({s["input"] for s in animation["samplers"]}) == 3


def test_trimesh_loads_it(clip):
    scene = trimesh.load(io.BytesIO(scene_glb(clip)), file_type="glb")
    assert set(scene.geometry) == {"person_0_body", "person_3_body"}


def test_nobody_moves_nothing(clip):
    empty = Reconstruction.of_frames(clip.frames, [()] * len(clip.frames))
    glb = Glb(scene_glb(empty))
    assert "animations" not in glb.json and len(glb.json["nodes"]) == 1


@pytest.mark.parametrize("name", ["clip", "turning"])
def test_khronos_validator_has_nothing_to_say(name, request, khronos_validator):
    issues = khronos_validator(scene_glb(request.getfixturevalue(name)))
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
