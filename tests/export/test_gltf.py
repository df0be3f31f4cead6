"""scene.glb: the skinning in the file gives the body model's mesh, and the camera its picture."""

import io

import numpy as np
import pytest
import roma
import torch
import trimesh
from glb_reader import Glb, skin_nodes

from kinflow.body.skeleton import JOINT_NAMES, PARENTS
from kinflow.export.gltf import scene_glb
from kinflow.export.gltf_skin import skin_attributes
from kinflow.export.joint_names import MIXAMO_NAMES
from kinflow.export.quaternions import unit_quaternions
from kinflow.results import Floor, Gravity, Reconstruction


@pytest.fixture(scope="module")
def data(reconstruction) -> bytes:
    return scene_glb(reconstruction)


@pytest.fixture(scope="module")
def glb(data) -> Glb:
    return Glb(data)


def camera_node(glb: Glb) -> dict:
    return next(n for n in glb.json["nodes"] if "camera" in n)


def test_skinning_gives_the_posed_bodies(glb, reconstruction):
    up_m = camera_node(glb)["translation"]
    assert len(skin_nodes(glb)) == 2
    for node, person in zip(skin_nodes(glb), reconstruction.people, strict=True):
        in_camera = (glb.skinned(node) - up_m) * [1, -1, -1]
        error_m = np.linalg.norm(in_camera - person.vertices().numpy(), axis=-1)
        assert error_m.max() < 1e-4


def test_the_lowest_foot_is_on_the_floor(glb):
    lowest = [glb.skinned(node)[:, 1].min() for node in skin_nodes(glb)]
    assert min(lowest) == pytest.approx(0, abs=1e-4)


def test_the_camera_node_sees_what_the_camera_saw(glb, reconstruction):
    node = camera_node(glb)
    lens = glb.json["cameras"][node["camera"]]["perspective"]
    width, height = reconstruction.camera.image_size
    vertices = glb.skinned(skin_nodes(glb)[0]) - node["translation"]
    assert "rotation" not in node
    # glTF 2.0, section 3.10.3: the projection matrix of a perspective camera
    y = vertices[:, 1] / -vertices[:, 2] / np.tan(lens["yfov"] / 2)
    x = vertices[:, 0] / -vertices[:, 2] / np.tan(lens["yfov"] / 2) / lens["aspectRatio"]
    px = np.stack([(x + 1) / 2 * width, (1 - y) / 2 * height], -1)
    expected = reconstruction.camera.project(reconstruction.people[0].vertices())
    np.testing.assert_allclose(px, expected, atol=0.02)


def test_a_floor_that_is_known_is_where_y_is_zero(reconstruction):
    gravity, floor = Gravity((0.0, -1.0, 0.0), 2.0), Floor(-1.5, 0.1)
    of = (reconstruction.camera, reconstruction.people, "")
    glb = Glb(scene_glb(Reconstruction.of_frame(*of, gravity, floor)))
    assert camera_node(glb)["translation"] == pytest.approx([0.0, 1.5, 0.0])


def test_a_tilted_camera_stands_in_the_same_upright_world(glb, tilted):
    """Bodies are where the level camera saw them, on the floor; only the camera node is turned."""
    other = Glb(scene_glb(tilted))
    for node, expected in zip(skin_nodes(other), skin_nodes(glb), strict=True):
        np.testing.assert_allclose(other.skinned(node), glb.skinned(expected), atol=1e-4)
    assert min(other.skinned(n)[:, 1].min() for n in skin_nodes(other)) == pytest.approx(
        0, abs=1e-4
    )


def test_a_render_through_a_tilted_camera_node_lies_on_the_photo(tilted):
    glb = Glb(scene_glb(tilted))
    index = next(i for i, n in enumerate(glb.json["nodes"]) if "camera" in n)
    world_node = glb.world()[index]
    # a camera looks along its node's -z with y up
    local = (glb.skinned(skin_nodes(glb)[1]) - world_node[:3, 3]) @ world_node[:3, :3]
    width, height = tilted.camera.image_size
    focal_px = height / 2 / np.tan(glb.json["cameras"][0]["perspective"]["yfov"] / 2)
    px = local[:, :2] / -local[:, 2:] * [focal_px, -focal_px] + [width / 2, height / 2]
    expected = tilted.camera.project(tilted.people[1].vertices())
    np.testing.assert_allclose(px, expected, atol=0.02)
    x, y, z = world_node[:3, :3].T[:, 1]  # the world's up, in the node's frame
    np.testing.assert_allclose([x, -y, -z], tilted.only_frame.gravity.up_cam, atol=1e-6)


@pytest.mark.parametrize("naming", ["smpl", "mixamo"])
def test_joints_are_named_and_form_the_skeleton(naming, reconstruction):
    glb = Glb(scene_glb(reconstruction, joint_names=naming))
    names = {"smpl": JOINT_NAMES, "mixamo": MIXAMO_NAMES}[naming]
    nodes = glb.json["nodes"]
    for skin in glb.json["skins"]:
        assert tuple(nodes[j]["name"] for j in skin["joints"]) == names
        for joint, parent in enumerate(PARENTS):
            if parent >= 0:
                assert skin["joints"][joint] in nodes[skin["joints"][parent]]["children"]
        armature = nodes[skin["joints"][0] + len(PARENTS)]
        assert armature == {"name": skin["name"], "children": [skin["joints"][0]]}


def test_mixamo_names_keep_left_and_right():
    for ours, theirs in zip(JOINT_NAMES, MIXAMO_NAMES, strict=True):
        assert ours.startswith("left_") == theirs.startswith("Left")
        assert ours.startswith("right_") == theirs.startswith("Right")


def test_structure(glb):
    attributes = glb.json["meshes"][0]["primitives"][0]["attributes"]
    count = len(glb.array(attributes["POSITION"]))
    assert all(len(glb.array(a)) == count for a in attributes.values())
    assert glb.array(glb.json["meshes"][0]["primitives"][0]["indices"]).max() == count - 1
    normals = glb.array(attributes["NORMAL"])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)
    bounds = glb.json["accessors"][attributes["POSITION"]]
    np.testing.assert_array_equal(bounds["max"], glb.array(attributes["POSITION"]).max(0))
    assert glb.json["buffers"] == [{"byteLength": len(glb.binary)}]


def test_quaternions_are_those_of_the_matrices():
    half_turns = torch.diag_embed(2 * torch.eye(3, dtype=torch.float64) - 1)
    R = torch.cat([roma.random_rotmat(50, dtype=torch.float64), half_turns])
    quaternions = torch.from_numpy(unit_quaternions(R.numpy()))
    torch.testing.assert_close(roma.unitquat_to_rotmat(quaternions), R)


def test_weights_sum_to_one_and_start_with_the_largest(reconstruction):
    from kinflow.body.model import BodyModel

    weights = BodyModel.load().skin_weights.numpy()
    attributes = skin_attributes(weights)
    values = np.concatenate([attributes[f"WEIGHTS_{i}"] for i in range(2)], 1)
    joints = np.concatenate([attributes[f"JOINTS_{i}"] for i in range(2)], 1)
    np.testing.assert_allclose(values.sum(1, dtype=np.float64), 1, atol=2e-7)
    assert (np.diff(values, axis=1) <= 1e-6).all()
    assert (joints[values == 0] == 0).all()
    dense = np.zeros_like(weights)
    for k in range(8):
        dense[np.arange(len(dense)), joints[:, k]] += values[:, k]
    np.testing.assert_allclose(dense, weights, atol=1e-4)


def test_scene_without_people_is_a_camera(nobody):
    glb = Glb(scene_glb(nobody))
    assert [n["name"] for n in glb.json["nodes"]] == ["camera"]
    assert "buffers" not in glb.json


def test_trimesh_loads_it(data):
    scene = trimesh.load(io.BytesIO(data), file_type="glb")
    assert set(scene.geometry) == {"person_0_body", "person_1_body"}
    mesh = scene.geometry["person_0_body"]
    assert len(mesh.vertices) == 13718
    assert mesh.is_watertight


@pytest.mark.parametrize("people", [0, 1, 2])
def test_khronos_validator_has_nothing_to_say(people, reconstruction, khronos_validator):
    some = Reconstruction.of_frame(reconstruction.camera, reconstruction.people[:people])
    issues = khronos_validator(scene_glb(some))
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
