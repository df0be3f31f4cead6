"""Pictures in batches: what the studio says of people is what its pictures show."""

from dataclasses import fields

import cv2
import numpy as np
import pytest
import torch
from studio_sets import write_poses

from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.part_mesh import PartMesh
from kinflow.body.sides import SIDES
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX, NUM_JOINTS
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.evidence.blazepose import BlazePose
from kinflow.evidence.region import Region
from kinflow.evidence.weights import RuntimeConfig
from kinflow.files.tensor_files import write_tensors
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import matrix_to_rotvec
from kinflow.synth.studio import Studio, StudioBatch, StudioConfig
from kinflow.synth.studio.backgrounds import BackgroundsConfig, load_backgrounds, main
from kinflow.synth.studio.dice import Dice
from kinflow.synth.studio.lens import photographed
from kinflow.synth.studio.people import People
from kinflow.synth.studio.staging import Stage

COUNT = 12


@pytest.fixture(scope="module")
def poses(tmp_path_factory):
    return write_poses(tmp_path_factory.mktemp("studio") / "poses.safetensors")


@pytest.fixture(scope="module")
def studio(poses) -> Studio:
    return Studio(StudioConfig(poses=poses))


@pytest.fixture(scope="module")
def batch(studio) -> StudioBatch:
    return studio.draw(COUNT, torch.Generator().manual_seed(3))


def keypoints_cam_m(batch: StudioBatch) -> torch.Tensor:
    body = BodyModel.load("joints")
    posed = body.with_shape(batch.phenotypes).with_pose(batch.rotation, batch.root_cam_m)
    return posed.keypoints_m()[:, :33]


def test_keypoints_are_those_of_the_true_body(batch):
    points_m = keypoints_cam_m(batch)
    for i in range(COUNT):
        size = (int(batch.image_size[i, 0]), int(batch.image_size[i, 1]))
        principal = (float(batch.principal_px[i, 0]), float(batch.principal_px[i, 1]))
        camera = Camera(float(batch.focal_px[i]), principal, size)
        assert torch.allclose(camera.project(points_m[i]), batch.keypoints_px[i], atol=0.05)
        x, y, side, roll = batch.region[i].tolist()
        to_crop = torch.from_numpy(Region((x, y), side, roll).to_crop(1)).float()
        crop = batch.keypoints_px[i] @ to_crop[:, :2].T + to_crop[:, 2] - 0.5
        assert torch.allclose(crop, batch.keypoints_crop[i], atol=1e-3)


def test_visible_keypoints_lie_on_the_person_and_their_parts(batch):
    near = torch.nn.functional.max_pool2d(batch.dressed[:, None].float(), 9, 1, 4)[:, 0]
    for i in range(COUNT):
        cell = ((batch.keypoints_crop[i, batch.keypoint_visible[i]] + 0.5) * 256).long()
        on = near[i, cell[:, 1], cell[:, 0]]
        assert not len(cell) or float(on.mean()) > 0.9
    assert bool((batch.keypoint_visible <= batch.keypoint_shows).all())


def test_known_parts_lie_on_the_person(batch):
    naked = (batch.parts > 0) & (batch.parts < 15)
    assert bool(naked.any())
    assert float((naked & ~batch.dressed).sum()) < 0.02 * float(naked.sum())
    assert bool((batch.parts[~batch.inside] == 255).all())
    assert bool((batch.rgb[~batch.inside] == 0).all())


def test_the_same_seed_gives_the_same_pictures_and_another_others(studio, batch):
    again = studio.draw(COUNT, torch.Generator().manual_seed(3))
    for field in fields(StudioBatch):
        assert torch.equal(getattr(again, field.name), getattr(batch, field.name))
    other = studio.draw(COUNT, torch.Generator().manual_seed(4))
    assert not torch.equal(other.rgb, batch.rgb)


def test_the_detector_sees_these_people(poses):
    """Of those who ride and squat it sees fewer."""
    blazepose = BlazePose(RuntimeConfig(threads=1))
    studio = Studio(StudioConfig(poses=poses, sitting_share=0.0))
    batch = studio.draw(24, torch.Generator().manual_seed(8))
    seen, gaps = 0, []
    for i in range(len(batch)):
        pose = blazepose(batch.rgb[i].numpy(), Region((128.0, 128.0), 256.0))
        seen += pose.score > 0.5
        shows = batch.keypoint_shows[i].numpy()
        truth = (batch.keypoints_crop[i].numpy() + 0.5) * 256
        if shows.any():
            gaps.append(np.median(np.linalg.norm(pose.keypoints_px - truth, axis=1)[shows]))
    assert seen >= 20
    assert np.median(gaps) < 0.045 * 256


def test_edges_of_the_image_cut_people_whose_share_that_is(poses):
    def whole(share: float) -> float:
        config = StudioConfig(poses=poses, cut_share=share, occluder_share=0.0)
        batch = Studio(config).draw(24, torch.Generator().manual_seed(0))
        size = batch.image_size[:, None]
        inside = ((batch.keypoints_px >= 0) & (batch.keypoints_px < size)).all(-1)
        return float(inside.all(1).sum())

    # perspective makes near limbs reach a little further than was planned
    assert whole(0.0) >= 15
    assert whole(1.0) < 6


def test_tables_hide_the_legs_of_who_sits_at_one(poses):
    """Half of them are on chairs; the others hide nothing."""
    knees = [KEYPOINT_INDEX["left_knee"], KEYPOINT_INDEX["right_knee"]]

    def knees_show(share: float) -> float:
        alone = {"other_shares": (1.0, 0.0, 0.0), "cut_share": 0.0, "occluder_share": 0.0}
        seated = {"sitting_share": 1.0, "lying_share": 0.0, "table_share": share}
        drawn = Studio(StudioConfig(poses=poses, **alone, **seated)).draw(
            2 * COUNT, torch.Generator().manual_seed(5)
        )
        return float(drawn.keypoint_shows[:, knees].float().mean())

    without, with_tables = knees_show(0.0), knees_show(1.0)
    assert without > 0.8
    assert with_tables < without - 0.12


def test_arms_of_people_at_tables_are_of_who_had_their_hands_there(tmp_path):
    """Only one of the recorded poses has: elbows at the sides and bent, forearms to the front."""
    reaching = torch.zeros(NUM_JOINTS, 3)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        reaching[JOINT_INDEX[f"{side}_shoulder"], 2] = -sign * 1.2
        reaching[JOINT_INDEX[f"{side}_elbow"], 1] = -sign * 1.5
    rotvec = torch.zeros(40, len(FREE_JOINTS), 3)
    rotvec[7] = reaching[list(FREE_JOINTS)]
    steps = torch.arange(40).int()
    path = tmp_path / "poses.safetensors"
    PoseSet(rotvec, torch.zeros(40, 3), steps // 20, steps, ("a", "b"), ("01", "01")).save(path)
    seated = {"sitting_share": 1.0, "lying_share": 0.0, "table_share": 1.0}
    same = {"exchange_share": 0.0, "bent_share": 0.0, "bent_std_rad": 0.0, "prior_share": 0.0}
    people = People(StudioConfig(poses=path, **seated, **same), torch.device("cpu"))
    pose, at_table = people.poses(200, Dice(torch.Generator().manual_seed(0)))
    bent = matrix_to_rotvec(pose[:, JOINT_INDEX["left_elbow"]]).norm(dim=1) > 1
    assert 0.35 < float(at_table.float().mean()) < 0.65  # the others are not on chairs
    assert 0.5 < float(bent[at_table].float().mean()) < 0.9
    # of the others half ride, and hold on to something
    assert 0.2 < float(bent[~at_table].float().mean()) < 0.5


def test_limbs_are_straighter_than_recorded_as_often_as_is_wanted(tmp_path):
    knee = FREE_JOINTS.index(JOINT_INDEX["left_knee"])
    rotvec = torch.zeros(40, len(FREE_JOINTS), 3)
    rotvec[:, knee, 0] = torch.deg2rad(torch.tensor(28.0))
    steps = torch.arange(40).int()
    path = tmp_path / "poses.safetensors"
    PoseSet(rotvec, torch.zeros(40, 3), steps // 20, steps, ("a", "b"), ("01", "01")).save(path)
    same = {"exchange_share": 0.0, "bent_share": 0.0, "prior_share": 0.0}
    standing = {"sitting_share": 0.0, "lying_share": 0.0}
    config = StudioConfig(poses=path, straight_share=0.7, **standing, **same)
    people = People(config, torch.device("cpu"))
    pose, _ = people.poses(300, Dice(torch.Generator().manual_seed(0)))
    bent_deg = torch.rad2deg(
        matrix_to_rotvec(pose[:, [JOINT_INDEX[f"{side}_knee"] for side in SIDES]]).norm(dim=-1)
    ).amax(1)  # half of the poses are mirrored
    straight = (bent_deg - 5).abs() < 0.1
    assert bool((straight | ((bent_deg - 28).abs() < 0.1)).all())
    assert 0.6 < float(straight.float().mean()) < 0.8


def test_up_is_where_the_camera_has_it(batch):
    upright = StudioConfig.roll_std_deg
    roll_deg = torch.rad2deg(torch.atan2(batch.up_cam[:, 0], -batch.up_cam[:, 1]))
    assert float(roll_deg.abs().median()) < 2 * upright
    assert torch.allclose(batch.up_cam.norm(dim=-1), torch.ones(COUNT), atol=1e-5)


def test_regions_map_there_and_back():
    dice = Dice(torch.Generator().manual_seed(1))
    region = torch.tensor([[300.0, 200.0, 150.0, 0.7], [10.0, -20.0, 900.0, -2.0]])
    stage = Stage(
        torch.eye(3).repeat(2, 1, 1),
        torch.ones(2),
        torch.zeros(2, 2),
        torch.ones(2, 2),
        torch.zeros(2, 3),
        region,
    )
    points = dice.normal(2, 5, 2, std=100.0)
    assert torch.allclose(stage.to_image(stage.to_crop(points)), points, atol=1e-2)


def test_photographing_keeps_sizes_and_is_seeded():
    canvas = torch.rand(3, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    one, two = (photographed(canvas, Dice(torch.Generator().manual_seed(2))) for _ in range(2))
    assert one.shape == (3, 256, 256, 3)
    assert torch.equal(one, two)


def test_body_parts_of_faces_are_those_of_the_mesh():
    mesh = PartMesh.of(BodyModel.load())
    assert set(np.unique(mesh.face_parts)) == set(range(1, 15))


def test_backgrounds_are_written_read_and_used(poses, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(2):
        noise = rng.integers(0, 255, (6, 8, 3), np.uint8)
        picture = cv2.resize(noise, (400, 300), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{i}.png"), picture)
    (folder / "broken.jpg").write_bytes(b"no picture")
    out = tmp_path / "backgrounds.safetensors"
    main(BackgroundsConfig(images=folder, out=out, per_image=2))
    assert "broken.jpg" in capsys.readouterr().out
    photos = load_backgrounds(out)
    assert photos.shape == (4, 3, 256, 256)
    studio = Studio(StudioConfig(poses=poses, backgrounds=out, photo_share=1.0))
    assert len(studio.draw(2, torch.Generator().manual_seed(0))) == 2


def test_what_is_no_file_of_backgrounds_is_refused(tmp_path):
    missing = tmp_path / "missing.safetensors"
    with pytest.raises(InputError, match="missing"):
        load_backgrounds(missing)
    other = tmp_path / "other.safetensors"
    write_tensors(other, {"x": torch.zeros(3)}, {"format": "something"})
    with pytest.raises(InputError, match="does not hold backgrounds"):
        load_backgrounds(other)
    torn = tmp_path / "torn.safetensors"
    tensors = {"jpeg": torch.zeros(9, dtype=torch.uint8), "end": torch.tensor([4, 9])}
    write_tensors(torn, tensors, {"format": "kinflow-backgrounds-1"})
    with pytest.raises(InputError, match="damaged"):
        load_backgrounds(torn)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no photographs"):
        main(BackgroundsConfig(images=empty, out=tmp_path / "out.safetensors"))


@pytest.mark.parametrize(
    "wrong", [{"cut_share": 1.5}, {"fov_deg": (80.0, 20.0)}, {"pitch_deg": (-100.0, 0.0)}]
)
def test_settings_that_cannot_be_are_refused(poses, wrong):
    with pytest.raises(InputError):
        StudioConfig(poses=poses, **wrong)
