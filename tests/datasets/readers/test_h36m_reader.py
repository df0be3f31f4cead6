"""Human3.6M in its own files and in the packings that others use."""

import pickle
import sys

import numpy as np
import pytest
from damage import Hostile, assert_check_fails, assert_refused, cut_off
from made_people import Z_UP, made_camera, made_person, matrix_of, read_all, seen

from kinflow.cli.main import main
from kinflow.datasets.readers.h36m import action_of
from kinflow.datasets.readers.h36m_cameras import CAMERAS, find_cameras
from kinflow.datasets.readers.joint_names import H36M17, H36M17_OF_32
from kinflow.datasets.readers.reprojection import reprojection_px
from kinflow.errors import InputError

cdflib = pytest.importorskip("cdflib")
h5py = pytest.importorskip("h5py")

FRAMES = 3
LENS = (-0.2, 0.24, -0.0009, -0.0014, -0.003)


def made_cameras():
    return {
        name: made_camera(size, 1145.0, 5.0, turn, distortion=LENS)
        for (name, size), turn in zip(CAMERAS.items(), (0.4, 2.0, 3.5, 5.1), strict=True)
    }


def thirty_two(points):
    """The files' 32 points, of which 17 are meant."""
    full = np.zeros((*points.shape[:-2], 32, points.shape[-1]))
    full[..., H36M17_OF_32, :] = points
    return full


def file_camera(camera):
    """R and the place, in the z-up world and in millimetres, as the files have them."""
    R = camera.R_cam_world @ Z_UP.T
    return R, -R.T @ camera.t_cam_world_m * 1000


def write_metadata(root, cameras, name="metadata.xml"):
    places = np.zeros((4, 11, 6))
    lenses = np.zeros((4, 9))
    for row, camera in enumerate(cameras.values()):
        R, place_mm = file_camera(camera)
        angles = [
            np.arctan2(-R[1, 2], R[2, 2]),
            np.arcsin(R[0, 2]),
            np.arctan2(-R[0, 1], R[0, 0]),
        ]
        places[row] = [*angles, *place_mm]
        k1, k2, p1, p2, k3 = camera.distortion
        lenses[row] = [*camera.focal_px, *camera.principal_px, k1, k2, k3, p1, p2]
    words = " ".join(f"{value:.14g}" for value in np.concatenate([places.ravel(), lenses.ravel()]))
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<h36m><!-- made --><w0>[{words}]</w0></h36m>'
    )
    return path


def write_cdf(path, rows, name="Pose"):
    """A variable `Pose` of one record, as MATLAB's cdfwrite leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = cdflib.cdfwrite.CDF(path, cdf_spec={"Compressed": 6}, delete=True)
    spec = {
        "Variable": name,
        "Data_Type": 45,
        "Num_Elements": 1,
        "Rec_Vary": True,
        "Var_Type": "zVariable",
        "Dim_Sizes": list(rows.shape),
    }
    file.write_var(spec, var_data=rows[None])
    file.close()
    return path


def write_official(root, subject="S1", trial="Walking 1", layout="MyPoseFeatures/{}", seed=3):
    person, cameras = made_person(FRAMES, seed), made_cameras()
    world_m = person.points(H36M17)
    folder = root / subject
    if not list(root.glob("**/metadata.xml")):
        write_metadata(root, cameras, "Release-v1.2/metadata.xml")
    rows = thirty_two(world_m @ Z_UP.T * 1000).reshape(FRAMES, 96)
    write_cdf(folder / layout.format("D3_Positions") / f"{trial}.cdf", rows)
    for name, camera in cameras.items():
        px = thirty_two(seen(camera, world_m)).reshape(FRAMES, 64)
        write_cdf(folder / layout.format("D2_Positions") / f"{trial}.{name}.cdf", px)
    return world_m, cameras


def write_npz(root, subjects=("S1", "S9"), trial="Walking 1"):
    person, cameras = made_person(FRAMES, 3), made_cameras()
    world_m = person.points(H36M17)
    in_file = thirty_two(world_m @ Z_UP.T).astype(np.float32)
    root.mkdir(exist_ok=True)
    views = [seen(camera, world_m) for camera in cameras.values()]
    np.savez_compressed(
        root / "data_3d_h36m.npz", positions_3d={s: {trial: in_file} for s in subjects}
    )
    np.savez_compressed(
        root / "data_2d_h36m_gt.npz",
        positions_2d={s: {trial: views} for s in subjects},
        metadata={"num_joints": 17},
    )
    return world_m, cameras


def agree(samples, world_m, cameras):
    """Every sample has the joints and, where its camera is known, the pixels of the truth."""
    for sample in samples:
        frame, camera = int(sample.key[-6:]), cameras[sample.key.split("/")[-2]]
        truth_m = world_m[frame]
        if sample.joints.space == "camera":
            truth_m = camera.to_camera(truth_m)
        assert 1e3 * np.abs(sample.joints.position_m - truth_m).max() < 0.1
        if sample.keypoints is not None:
            np.testing.assert_allclose(
                sample.keypoints.px, camera.project(camera.to_camera(world_m[frame])), atol=0.1
            )
            assert reprojection_px(sample).max() < 0.5


@pytest.mark.parametrize("layout", ["MyPoseFeatures/{}", "Poses_{}"])
def test_official_files_give_all_cameras(tmp_path, layout):
    world_m, cameras = write_official(tmp_path, "S9", "Eating", layout)
    found = read_all("h36m", tmp_path, "test")

    assert len(found) == 4 * FRAMES and len({s.key for s in found}) == len(found)
    agree(found, world_m, cameras)
    assert all(s.keypoints is not None and s.camera is not None for s in found)
    first = found[0]
    assert first.picture.path == tmp_path / "S9/Videos/Eating.54138969.mp4"
    assert (first.picture.frame, first.time_s, first.fps) == (0, 0.0, 50.0)
    assert (first.identity, first.sequence, first.action) == ("S9", "S9/Eating", "Eating")
    np.testing.assert_array_equal(first.up, [0, 1, 0])


def test_shifted_labels_of_s9_are_moved_back(tmp_path):
    world_m, cameras = write_official(tmp_path, "S9", "Greeting")
    found = read_all("h36m", tmp_path)
    agree(found, world_m - np.array([0.2, 0, 0], np.float32), cameras)
    assert all(s.valid and s.keypoints is not None for s in found)


def test_joints_of_cameras_are_read_where_there_is_no_world(tmp_path):
    world_m, cameras = write_official(tmp_path, "S1", "Posing")
    for folder, name in (("D3_Positions", "Posing.cdf"),):
        (tmp_path / "S1/MyPoseFeatures" / folder / name).unlink()
    for kind in ("mono", "mono_universal"):
        for name, camera in cameras.items():
            cam = camera.to_camera(world_m)
            path = tmp_path / f"S1/MyPoseFeatures/D3_Positions_{kind}/Posing.{name}.cdf"
            write_cdf(path, thirty_two(cam * 1000).reshape(FRAMES, 96))
    found = read_all("h36m", tmp_path)
    agree(found, world_m, cameras)
    assert len(found) == 12 and {s.joints.definition for s in found} == {"mocap:h36m"}
    np.testing.assert_allclose(found[0].up, cameras["54138969"].R_cam_world[:, 1], atol=1e-6)


def test_the_corrupt_video_is_no_picture(tmp_path):
    write_official(tmp_path, "S11", "Directions")
    found = read_all("h36m", tmp_path)
    assert [s.picture is None for s in found] == [s.key.split("/")[2] == "54138969" for s in found]


def test_videopose3d_s_packing_says_the_same(tmp_path):
    world_m, cameras = write_npz(tmp_path)
    write_metadata(tmp_path, cameras)
    train, test = (read_all("h36m", tmp_path, split) for split in ("train", "test"))
    assert {s.identity for s in train} == {"S1"} and {s.identity for s in test} == {"S9"}
    agree(train + test, world_m, cameras)
    assert all(s.keypoints is not None and s.camera is not None for s in train)


def test_martinez_packing_brings_its_own_cameras(tmp_path):
    person, cameras = made_person(FRAMES, 3), made_cameras()
    world_m = person.points(H36M17)
    folder = tmp_path / "h36m/S1/MyPoses/3D_positions"
    folder.mkdir(parents=True)
    with h5py.File(folder / "Walking 1.h5", "w") as file:
        file["3D_positions"] = thirty_two(world_m @ Z_UP.T * 1000).reshape(FRAMES, 96).T
    with h5py.File(tmp_path / "h36m/cameras.h5", "w") as file:
        for row, camera in enumerate(cameras.values(), 1):
            R, place_mm = file_camera(camera)
            k1, k2, p1, p2, k3 = camera.distortion
            parts = {"R": R.T, "T": place_mm[:, None], "f": np.array(camera.focal_px)[:, None]}
            parts |= {"c": np.array(camera.principal_px)[:, None]}
            parts |= {"k": np.array([[k1], [k2], [k3]]), "p": np.array([[p1], [p2]])}
            for name, value in parts.items():
                file[f"subject1/camera{row}/{name}"] = value
    found = read_all("h36m", tmp_path)
    agree(found, world_m, cameras)
    for sample in found:
        truth = cameras[sample.key.split("/")[-2]]
        np.testing.assert_allclose(sample.camera.R_cam_world, truth.R_cam_world, atol=1e-6)
        np.testing.assert_allclose(sample.camera.distortion, truth.distortion)


def test_annotations_of_h36m_fetch(tmp_path):
    person, cameras = made_person(FRAMES, 3), made_cameras()
    world_m = person.points(H36M17)
    folder = tmp_path / "processed/S1/Walking-1"
    folder.mkdir(parents=True)
    cams = [camera.to_camera(world_m) for camera in cameras.values()]
    with h5py.File(folder / "annot.h5", "w") as file:
        file["pose/3d"] = thirty_two(np.concatenate(cams) * 1000)
        file["pose/2d"] = thirty_two(np.concatenate([seen(c, world_m) for c in cameras.values()]))
        file["camera"] = np.repeat([int(name) for name in cameras], FRAMES)
        file["frame"] = np.tile(np.arange(FRAMES) + 1, 4)
        for name, camera in cameras.items():
            K = matrix_of(camera)
            file[f"intrinsics/{name}"] = [K[0, 0], K[0, 2], K[1, 1], K[1, 2]]
    found = read_all("h36m", tmp_path)
    assert len(found) == 12 and found[0].camera.R_cam_world is None
    for sample in found:
        camera = cameras[sample.key.split("/")[-2]]
        cam = camera.to_camera(world_m[int(sample.key[-6:])])
        assert 1e3 * np.abs(sample.joints.position_m - cam).max() < 0.1
    assert found[1].picture.path == folder / "imageSequence/54138969/img_000002.jpg"


def test_check_says_what_is_missing(tmp_path, capsys):
    write_official(tmp_path)
    (tmp_path / "Release-v1.2/metadata.xml").unlink()
    said = assert_check_fails("h36m", tmp_path, capsys)
    assert "has no cameras: add metadata.xml" in said and "no subjects of the split test" in said
    assert "Walking 1.54138969.mp4' and 3 more, not there" in said


def test_names_of_actions():
    named = {"Walking 1": "Walking", "TakingPhoto": "Photo", "WalkDog 1": "WalkDog"}
    assert {trial: action_of(trial) for trial in named} == named
    assert action_of("WalkingDog-2") == "WalkDog"


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((FRAMES, 95)),
        np.full((FRAMES, 96), np.nan),
        np.full((FRAMES, 96), 1e12),
        np.zeros((2, 3, 96)),
    ],
)
def test_wrong_cdf_files_are_refused(tmp_path, rows):
    write_official(tmp_path)
    write_cdf(tmp_path / "S1/MyPoseFeatures/D3_Positions/Walking 1.cdf", rows)
    assert_refused("h36m", tmp_path, "Walking 1.cdf")


def test_damaged_cdf_files_are_refused(tmp_path):
    write_official(tmp_path)
    path = tmp_path / "S1/MyPoseFeatures/D3_Positions/Walking 1.cdf"
    good = path.read_bytes()
    cut_off(path, 0.5)
    assert_refused("h36m", tmp_path)
    for content in (
        b"hello",
        b"\xcd\xf3\x00\x01" + bytes(60),
        good[:40],
        write_cdf(tmp_path / "other.cdf", np.zeros((FRAMES, 96)), "Nose").read_bytes(),
    ):
        path.write_bytes(content)
        assert_refused("h36m", tmp_path)


def test_wrong_packings_are_refused_and_nothing_runs(tmp_path):
    write_npz(tmp_path)
    marker, path = tmp_path / "ran", tmp_path / "data_3d_h36m.npz"
    for content in (
        {"positions_3d": {"S1": {"Walking": np.zeros((3, 17, 3))}}},
        {"positions_3d": {"S1": {"Walking": np.full((3, 32, 3), np.inf)}}},
        {"positions_3d": {"S1": 3}},
        {"positions_3d": np.zeros(3)},
        {"positions": 1},
        {"positions_3d": {"S1": Hostile(marker)}},
    ):
        np.savez(path, **content)
        assert_refused("h36m", tmp_path)
    write_npz(tmp_path)
    cut_off(path)
    assert_refused("h36m", tmp_path)
    path.write_bytes(pickle.dumps(Hostile(marker)))
    assert_refused("h36m", tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "text",
    [
        "<h36m><w0>[1 2 3]</w0></h36m>",
        "<h36m></h36m>",
        "<h36m><w0>",
        "hello",
        f"<h36m><w0>[{'nan ' * 300}]</w0></h36m>",
        f"<h36m><w0>[{'x ' * 300}]</w0></h36m>",
        f"<h36m><w0>[{'0 ' * 300}]</w0></h36m>",
        '<!DOCTYPE a [<!ENTITY b "c">]><h36m><w0>&b;</w0></h36m>',
    ],
)
def test_wrong_calibrations_are_refused(tmp_path, text):
    write_metadata(tmp_path, made_cameras()).write_text(text)
    with pytest.raises(InputError) as caught:
        find_cameras(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_package_that_is_missing_is_named_once(tmp_path, monkeypatch, capsys):
    write_official(tmp_path)
    for name in ("cdflib", "h5py"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["data", "check", "h36m", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "needs the package 'cdflib': pip install 'kinflow[datasets]'" in said
    assert said.count("\n") == 1
