"""Laws of the bundled body: rigid motion, kinematics, symmetry, subsets, batches."""

import dataclasses
import doctest

import pytest
import roma
import torch

import kinflow.body.model
from kinflow.body import BodyModel, PosedBody
from kinflow.body.keypoints import KEYPOINT_NAMES
from kinflow.body.parts import PART_INDEX, PART_NAMES
from kinflow.body.skeleton import JOINT_INDEX, JOINT_NAMES, MIRROR_JOINTS, NUM_JOINTS, PARENTS
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rasterizer import coverage
from kinflow.results import Person

MIRROR = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))


@pytest.fixture(scope="module")
def fit_body() -> BodyModel:
    return BodyModel.load("fit")


def random_pose(*batch: int, seed: int = 0, spread: float = 0.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return roma.rotvec_to_rotmat(torch.randn(*batch, NUM_JOINTS, 3, generator=generator) * spread)


def random_shape(*batch: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*batch, 6, generator=torch.Generator().manual_seed(seed))


def t_pose(body: BodyModel) -> PosedBody:
    rotations = torch.eye(3).expand(NUM_JOINTS, 3, 3)
    return body.with_shape(body.shape_space.neutral()).with_pose(rotations, torch.zeros(3))


def points(posed: PosedBody) -> torch.Tensor:
    return torch.cat([posed.joints_m, posed.keypoints_m(), posed.vertices_m()], -2)


def renamed(names: tuple[str, ...]) -> list[int]:
    """Index of the same name on the other side."""
    swap = str.maketrans({"<": "right", ">": "left"})
    marked = [n.replace("left", "<").replace("right", ">").translate(swap) for n in names]
    return [names.index(n) for n in marked]


def direction(posed: PosedBody, start: str, end: str) -> torch.Tensor:
    step = posed.joints_m[JOINT_INDEX[end]] - posed.joints_m[JOINT_INDEX[start]]
    return step / step.norm()


@pytest.mark.parametrize("side", ["left", "right"])
def test_zero_pose_is_a_t_pose(joints_body, side):
    posed = t_pose(joints_body)
    outwards = torch.tensor([1.0 if side == "left" else -1.0, 0.0, 0.0])
    down = torch.tensor([0.0, -1.0, 0.0])
    expected = {
        ("shoulder", "elbow"): outwards,
        ("elbow", "wrist"): outwards,
        ("hip", "knee"): down,
        ("knee", "ankle"): down,
    }
    for (start, end), along in expected.items():
        angle = torch.rad2deg(
            direction(posed, f"{side}_{start}", f"{side}_{end}").dot(along).acos()
        )
        assert angle < 1.5, (start, end, angle)
    assert direction(posed, f"{side}_ankle", f"{side}_foot")[2] > 0.7
    assert direction(posed, "pelvis", "neck")[1] > 0.98


@pytest.mark.parametrize(
    ("joint", "rotvec", "end", "axis", "sign"),
    [
        ("left_elbow", (0, -1, 0), "left_wrist", 2, 1),
        ("right_elbow", (0, 1, 0), "right_wrist", 2, 1),
        ("left_knee", (1, 0, 0), "left_ankle", 2, -1),
        ("left_hip", (-1, 0, 0), "left_knee", 2, 1),
        ("left_shoulder", (0, 0, 1), "left_elbow", 1, 1),
        ("right_shoulder", (0, 0, -1), "right_elbow", 1, 1),
        ("spine1", (1, 0, 0), "neck", 2, 1),
        ("neck", (0, 1, 0), "head", 0, 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rotations_turn_the_way_the_conventions_say(joints_body, joint, rotvec, end, axis, sign):
    """Elbows flex forwards, knees backwards, hips and the trunk forwards; arms lift sideways."""
    pose = torch.eye(3).repeat(NUM_JOINTS, 1, 1)
    pose[JOINT_INDEX[joint]] = roma.rotvec_to_rotmat(torch.tensor(rotvec, dtype=torch.float32))
    rest = t_pose(joints_body)
    moved = rest.shaped.with_pose(pose, torch.zeros(3)).joints_m - rest.joints_m
    assert sign * moved[JOINT_INDEX[end], axis] > (0.0 if joint == "neck" else 0.1)


def test_the_example_in_the_documentation_holds():
    result = doctest.testmod(kinflow.body.model)
    assert result.attempted > 5 and result.failed == 0


def test_root_moves_everything_rigidly(fit_body):
    shaped = fit_body.with_shape(random_shape())
    pose, turn = random_pose(seed=1), random_pose(seed=2)[3]
    shift = torch.tensor([0.4, -1.0, 3.0])
    moved_pose = torch.cat([turn @ pose[:1], pose[1:]])
    before = points(shaped.with_pose(pose, torch.zeros(3)))
    after = points(shaped.with_pose(moved_pose, shift))
    torch.testing.assert_close(after, before @ turn.T + shift, atol=2e-6, rtol=0)


def test_kinematics_keeps_bones_and_composes_rotations(joints_body):
    posed = joints_body.with_shape(random_shape(5)).with_pose(random_pose(5), torch.ones(5, 3))
    rest = posed.shaped.rest_joints_m
    torch.testing.assert_close(posed.joints_m[:, 0], torch.ones(5, 3))
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        bone = (posed.joints_m[:, joint] - posed.joints_m[:, parent]).norm(dim=-1)
        torch.testing.assert_close(bone, (rest[:, joint] - rest[:, parent]).norm(dim=-1))
        composed = posed.R_joints[:, parent] @ posed.pose[:, joint]
        torch.testing.assert_close(posed.R_joints[:, joint], composed)


def test_a_joint_moves_only_what_hangs_on_it(joints_body):
    shaped, pose = joints_body.with_shape(random_shape()), random_pose(seed=4)
    turned = pose.clone()
    turned[JOINT_INDEX["left_shoulder"]] = random_pose(seed=5)[0]
    shift = (
        shaped.with_pose(turned, torch.zeros(3)).joints_m
        - shaped.with_pose(pose, torch.zeros(3)).joints_m
    ).norm(dim=-1)
    moved = {JOINT_NAMES[j] for j in torch.nonzero(shift > 1e-6)[:, 0]}
    assert moved == {"left_elbow", "left_wrist"}


def mirrored_pose(pose: torch.Tensor) -> torch.Tensor:
    return MIRROR @ pose[list(MIRROR_JOINTS)] @ MIRROR


@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_mirrored_poses_give_mirrored_bodies(body, spread):
    """Joints and keypoints swap sides; so does the mesh, vertex for vertex."""
    shaped = body.with_shape(random_shape(seed=7))
    pose = random_pose(seed=8, spread=spread)
    here = shaped.with_pose(pose, torch.zeros(3))
    there = shaped.with_pose(mirrored_pose(pose), torch.zeros(3))
    torch.testing.assert_close(
        there.joints_m, here.joints_m[list(MIRROR_JOINTS)] @ MIRROR, atol=5e-4, rtol=0
    )
    torch.testing.assert_close(
        there.keypoints_m(), here.keypoints_m()[renamed(KEYPOINT_NAMES)] @ MIRROR, atol=3e-3, rtol=0
    )
    sample = here.vertices_m()[::9] @ MIRROR
    nearest = torch.cdist(sample, there.vertices_m()).min(1)
    assert nearest.values.max() < 2e-3
    parts = body.vertex_parts[::9]
    swapped = torch.tensor(renamed(PART_NAMES))[body.vertex_parts[nearest.indices]]
    assert (swapped == parts).float().mean() > 0.995


def test_fit_vertices_are_vertices_of_the_full_mesh(body, fit_body):
    shape, pose, t = random_shape(2), random_pose(2), torch.zeros(2, 3)
    full = body.with_shape(shape).with_pose(pose, t)
    fit = fit_body.with_shape(shape).with_pose(pose, t)
    torch.testing.assert_close(fit.joints_m, full.joints_m)
    torch.testing.assert_close(fit.keypoints_m(), full.keypoints_m())
    distance = torch.cdist(
        fit.vertices_m(), full.vertices_m(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    nearest, index = distance.min(-1)
    assert nearest.max() < 1e-5
    assert (index[0] == index[1]).float().mean() > 0.99
    assert (body.vertex_parts[index[0]] == fit_body.vertex_parts).float().mean() > 0.99


def test_fit_vertices_cover_all_parts(body, fit_body):
    assert body.num_vertices == 13_718 and len(body.faces) > 20_000
    assert fit_body.num_vertices >= 1000 and len(fit_body.faces) == 0
    for model, least in ((body, 100), (fit_body, 30)):
        count = torch.bincount(model.vertex_parts, minlength=len(PART_NAMES))
        assert count[PART_INDEX["background"]] == 0
        assert (count[1:] >= least).all(), count


def test_weights_and_masses_are_convex(body):
    for table, axis in ((body.skin_weights, 1), (body.keypoint_mass, 1)):
        assert (table >= 0).all()
        torch.testing.assert_close(table.sum(axis), torch.ones(len(table)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (1, 2, 2)])
def test_any_batch_axes_give_the_same_bodies(fit_body, batch):
    shape, pose, t = random_shape(*batch), random_pose(*batch), torch.rand(*batch, 3)
    together = fit_body.with_shape(shape).with_pose(pose, t)
    assert together.joints_m.shape == (*batch, 22, 3)
    assert together.R_joints.shape == (*batch, 22, 3, 3)
    alone = [
        points(fit_body.with_shape(s).with_pose(p, u))
        for s, p, u in zip(
            shape.reshape(-1, 6), pose.reshape(-1, 22, 3, 3), t.reshape(-1, 3), strict=True
        )
    ]
    torch.testing.assert_close(
        points(together).reshape(len(alone), -1, 3), torch.stack(alone), atol=2e-6, rtol=0
    )


def test_one_shape_serves_many_poses(fit_body):
    shape, pose = random_shape(), random_pose(4)
    many = fit_body.with_shape(shape).with_pose(pose, torch.zeros(4, 3))
    repeated = fit_body.with_shape(shape.expand(4, 6)).with_pose(pose, torch.zeros(4, 3))
    torch.testing.assert_close(points(many), points(repeated), atol=1e-6, rtol=0)


def test_moving_to_a_device_moves_every_tensor(fit_body):
    moved = fit_body.to("meta")
    for name, value in vars(moved).items():
        if isinstance(value, torch.Tensor):
            assert value.device.type == "meta", name
            assert value.shape == getattr(fit_body, name).shape
    assert moved.shape_space.neutral().device.type == "meta"
    kept = {f.name for f in dataclasses.fields(BodyModel) if getattr(moved, f.name) is not None}
    assert kept == {
        f.name for f in dataclasses.fields(BodyModel) if getattr(fit_body, f.name) is not None
    }


def test_a_person_s_vertices_are_the_body_s(body):
    shape, pose, t = random_shape(seed=3), random_pose(seed=3), torch.tensor([0.1, 0.2, 4.0])
    posed = body.with_shape(shape).with_pose(pose, t)
    person = Person(
        person=0,
        camera=Camera.from_fov((64, 48), 50.0),
        R_cam_root=pose[0],
        t_cam_root_m=t,
        pose=pose,
        z=torch.zeros(2),
        shape=shape,
        joints_cam_m=posed.joints_m,
        joint_std_m=torch.zeros(22),
        t_cam_root_std_m=torch.zeros(3),
        keypoints_px=torch.zeros(33, 3),
        score=1.0,
    )
    torch.testing.assert_close(person.vertices(), posed.vertices_m())


def test_a_coarser_body_looks_the_same(body):
    """Vertices are a subset of the body's, parts stay, and the drawing hardly changes."""
    coarse = body.coarsened(0.01)
    assert 0.3 * body.num_vertices < coarse.num_vertices < 0.6 * body.num_vertices
    assert set(coarse.vertex_parts.tolist()) == set(body.vertex_parts.tolist())
    assert int(coarse.faces.max()) == coarse.num_vertices - 1
    camera = Camera(480.0, (128.0, 128.0), (256, 256))
    pose = torch.eye(3).repeat(22, 1, 1)
    pose[0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    covers = []
    for model in (body, coarse):
        shaped = model.with_shape(model.shape_space.neutral())
        vertices = shaped.with_pose(pose, torch.tensor([0.0, 0.0, 4.0])).vertices_m()
        covers.append(coverage(vertices, model.faces, camera))
    assert (covers[0] & covers[1]).sum() / (covers[0] | covers[1]).sum() > 0.99
