"""SMPL-family files against SMPL's equations written out in numpy."""

import numpy as np
import pytest
import roma
import torch
from python2_pickles import Ch, chumpy_slice, csc_matrix, python2_pickle
from smpl_files import family_parents, reference_smpl, synthetic_fields

from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX, KEYPOINT_NAMES
from kinflow.body.skeleton import JOINT_INDEX, NUM_JOINTS
from kinflow.body.smpl import load_smpl
from kinflow.body.template_keypoints import find_keypoints
from kinflow.errors import InputError

FAMILIES = ["smpl", "smplh", "smplx"]


def random_rotations(joints: int, seed: int) -> np.ndarray:
    """Random rotations of the 22 body joints; joints beyond them rest."""
    rotvec = torch.randn(NUM_JOINTS, 3, generator=torch.Generator().manual_seed(seed)) * 0.6
    rotations = np.tile(np.eye(3), (joints, 1, 1))
    rotations[:NUM_JOINTS] = roma.rotvec_to_rotmat(rotvec.double()).numpy()
    return rotations


def write(path, fields, layout):
    """The same body as npz, as pkl of plain arrays, or as SMPL's own pkl."""
    if layout == "npz":
        with path.open("wb") as stream:  # given a name, numpy would change it
            np.savez(stream, **fields)
    elif layout == "pkl":
        path.write_bytes(python2_pickle(fields))
    else:
        special = {
            "J_regressor": csc_matrix(fields["J_regressor"]),
            "shapedirs": chumpy_slice(fields["shapedirs"]),
            "v_template": Ch(fields["v_template"]),
            "bs_type": "lrotmin",
        }
        path.write_bytes(python2_pickle(fields | special, layout))
    return path


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layout", ["npz", "pkl", "scipy.sparse.csc", "scipy.sparse._csc"])
def test_agrees_with_the_equations(tmp_path, family, layout):
    fields = synthetic_fields(family)
    body = load_smpl(write(tmp_path / f"{family}.file", fields, layout))
    betas, transl = np.linspace(-2, 2, 10), np.array([0.3, -0.2, 4.0])
    R = random_rotations(len(family_parents(family)), seed=3)
    joints, vertices = reference_smpl(fields, betas, R, transl)
    shaped = body.with_shape(torch.tensor(betas, dtype=torch.float32))
    t_root = torch.tensor(transl, dtype=torch.float32) + shaped.rest_joints_m[0]
    posed = shaped.with_pose(torch.tensor(R[:NUM_JOINTS], dtype=torch.float32), t_root)
    np.testing.assert_allclose(posed.joints_m, joints, atol=1e-5)
    np.testing.assert_allclose(posed.vertices_m(), vertices, atol=1e-5)
    np.testing.assert_array_equal(body.faces, fields["f"])


def test_fewer_betas_are_the_first_ones(tmp_path):
    path = write(tmp_path / "model.npz", synthetic_fields("smplh"), "npz")
    two, sixteen = load_smpl(path, 2), load_smpl(path, 16)
    assert two.shape_space.names == ("beta0", "beta1")
    betas = torch.tensor([0.7, -1.3])
    torch.testing.assert_close(
        two.with_shape(betas).rest_vertices_m,
        sixteen.with_shape(torch.cat([betas, torch.zeros(14)])).rest_vertices_m,
    )


def test_expressions_of_smplx_are_no_betas(tmp_path):
    path = write(tmp_path / "model.npz", synthetic_fields("smplx"), "npz")
    with pytest.raises(InputError, match="10 shape directions, not 11"):
        load_smpl(path, 11)


def test_vertex_subset_keeps_pose_blend_shapes(tmp_path):
    body = load_smpl(write(tmp_path / "model.npz", synthetic_fields("smpl"), "npz"))
    chosen = torch.tensor([5, 40, 299])
    pose = torch.tensor(random_rotations(NUM_JOINTS, seed=1), dtype=torch.float32)
    whole, part = (
        b.with_shape(torch.ones(10)).with_pose(pose, torch.zeros(3)).vertices_m()
        for b in (body, body.select_vertices(chosen))
    )
    torch.testing.assert_close(part, whole[chosen])


def test_keypoints_move_with_the_skin(tmp_path):
    """A keypoint on the skin is skinned like its vertex (without blend shapes, here zero)."""
    fields = synthetic_fields("smpl")
    fields["posedirs"] = np.zeros_like(fields["posedirs"])
    body = load_smpl(write(tmp_path / "model.npz", fields, "npz"))
    pose = torch.tensor(random_rotations(NUM_JOINTS, seed=2), dtype=torch.float32)
    posed = body.with_shape(torch.ones(10)).with_pose(pose, torch.ones(3))
    keypoints = posed.keypoints_m()
    nose = keypoints[KEYPOINT_INDEX["nose"]]
    assert (posed.vertices_m() - nose).norm(dim=1).min() < 1e-5
    for side in ("left", "right"):
        for name in ("shoulder", "wrist", "ankle"):
            joint = posed.joints_m[JOINT_INDEX[f"{side}_{name}"]]
            torch.testing.assert_close(keypoints[KEYPOINT_INDEX[f"{side}_{name}"]], joint)


def test_template_keypoints_are_found_on_a_real_mesh(body):
    """Found on the bundled body's T-pose by geometry alone, they are near its own keypoints."""
    posed = body.with_shape(body.shape_space.neutral()).with_pose(
        torch.eye(3).expand(NUM_JOINTS, 3, 3), torch.zeros(3)
    )
    vertices, joints = (p.double().numpy() for p in (posed.vertices_m(), posed.joints_m))
    found = find_keypoints(
        vertices, joints, body.skin_weights.double().numpy(), body.vertex_parts.numpy()
    )
    np.testing.assert_allclose(found.mass.sum(1), 1, atol=1e-9)
    place = found.mass @ np.concatenate([joints, vertices])[found.source]
    error_m = np.linalg.norm(place - posed.keypoints_m().numpy(), axis=1)
    far = {n: round(e, 3) for n, e in zip(KEYPOINT_NAMES, error_m, strict=True) if e > 0.035}
    assert not far


def broken(**changes):
    fields = synthetic_fields("smpl", vertices=200)
    for name, change in changes.items():
        if change is None:
            del fields[name]
        else:
            fields[name] = change(fields[name])
    return fields


def other_tree(table):
    table = table.copy()
    table[0, 4] = 0
    return table


@pytest.mark.parametrize("layout", ["npz", "pkl"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": None}, "no weights"),
        ({"posedirs": lambda a: a[..., :-9]}, "posedirs is .* but should be 200 x 3 x 207"),
        ({"v_template": lambda a: a[:-1]}, "should be"),
        ({"v_template": lambda a: a[:, :2]}, "v_template is .* but should be 200 x 3"),
        ({"shapedirs": lambda a: a * np.nan}, "shapedirs holds numbers that are not finite"),
        ({"shapedirs": lambda a: a[..., :4]}, "4 shape directions, not 10"),
        ({"f": lambda a: a + 200}, "vertices that the template does not have"),
        ({"kintree_table": other_tree}, "joint tree"),
        ({"v_template": lambda a: np.array("text")}, "v_template is unusable"),
        ({"weights": lambda a: np.eye(24)[np.zeros(200, int)]}, "none of its vertices"),
        ({"v_template": lambda a: np.zeros((100_001, 3))}, "more than any body"),
        ({"weights": lambda a: np.zeros((10, 201), np.int8)}, "more than any body"),
        ({"weights": lambda a: a * 1e300}, "weights holds numbers as large as"),
        ({"f": lambda a: a + 1e300}, "f holds numbers as large as 1e.300"),
        ({"f": lambda a: a.astype(np.uint64) + 2**63}, "vertices that the template does not have"),
        ({"f": lambda a: a * np.nan}, "f holds numbers that are not finite"),
        ({"f": lambda a: a + 0.5}, "f holds fractions"),
        ({"v_template": lambda a: a[:0]}, "should be"),
        ({"v_template": lambda a: a[0, 0]}, "should be"),
        ({"kintree_table": lambda a: a[:0]}, "should be"),
    ],
)
def test_wrong_contents_are_refused(tmp_path, changes, message, layout):
    path = write(tmp_path / "model.file", broken(**changes), layout)
    with pytest.raises(InputError, match=message):
        load_smpl(path)


@pytest.mark.parametrize("layout", ["npz", "pkl"])
def test_types_of_numbers_do_not_matter(tmp_path, layout):
    fields = synthetic_fields("smplh")
    other = {
        "kintree_table": fields["kintree_table"].astype(np.int64),
        "f": fields["f"].astype(">i4"),
        "v_template": np.asfortranarray(fields["v_template"]),
        "weights": fields["weights"].astype(">f8"),
        "posedirs": fields["posedirs"].astype(">f4"),
    }
    expected = load_smpl(write(tmp_path / "a", fields, layout))
    found = load_smpl(write(tmp_path / "b", fields | other, layout))
    for name in ("rest_mean_m", "faces", "skin_weights", "pose_basis_m"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))


def test_objects_beside_the_arrays_do_not_matter(tmp_path):
    """SMPL-X files hold dicts as arrays of objects, which nothing here needs."""
    beside = {"joint2num": np.array({"Pelvis": 0}, object), "gender": np.array("neutral", object)}
    fields = synthetic_fields("smplx")
    for layout in ("npz", "pkl"):
        body = load_smpl(write(tmp_path / layout, fields | beside, layout))
        assert body.num_vertices == len(fields["v_template"])


def test_archives_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "model.npz", synthetic_fields("smpl"), "npz")
    monkeypatch.setattr("kinflow.body.smpl._MAX_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(InputError, match="unpacks to more than 1 MB"):
        load_smpl(path)


def test_a_small_matrix_does_not_become_a_large_one(tmp_path):
    regressor = csc_matrix(np.zeros((24, 300)))
    regressor._shape, regressor.indptr = (24, 10**6), np.zeros(10**6 + 1, np.int8)
    fields = synthetic_fields("smpl") | {"J_regressor": regressor}
    path = write(tmp_path / "model.pkl", fields, "pkl")
    with pytest.raises(InputError, match="J_regressor is unusable.*matrix of"):
        load_smpl(path)


@pytest.mark.parametrize("layout", ["npz", "scipy.sparse.csc"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
def test_truncated_files_are_refused(tmp_path, layout, kept):
    path = write(tmp_path / "model.npz", synthetic_fields("smpl"), layout)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match="model.npz"):
        load_smpl(path)


def test_files_that_are_no_models_are_refused(tmp_path):
    with pytest.raises(InputError, match="missing.pkl' does not exist"):
        load_smpl(tmp_path / "missing.pkl")
    with pytest.raises(InputError, match="is a folder"):
        load_smpl(tmp_path)
    (tmp_path / "list.pkl").write_bytes(python2_pickle([1, 2]))
    with pytest.raises(InputError, match="holds a list"):
        load_smpl(tmp_path / "list.pkl")
    (tmp_path / "text.pkl").write_text("hello")
    with pytest.raises(InputError, match="not a pickle"):
        load_smpl(tmp_path / "text.pkl")


def test_moves_between_devices_and_has_parts(tmp_path):
    body = load_smpl(write(tmp_path / "model.npz", synthetic_fields("smplx"), "npz")).to("meta")
    assert isinstance(body, BodyModel)
    assert body.pose_basis_m is not None and body.pose_basis_m.device.type == "meta"
    assert body.faces.device.type == "meta" and body.vertex_parts.shape == (300,)
