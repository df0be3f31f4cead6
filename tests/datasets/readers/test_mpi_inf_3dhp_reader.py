"""MPI-INF-3DHP: mat files of MATLAB 5 and 7.3, and calibrations as text."""

import numpy as np
import pytest
from damage import assert_check_fails, assert_refused, cut_off
from made_people import extrinsics_of, made_camera, made_person, matrix_of, read_all, seen

from kinflow.datasets.readers.joint_names import MPI17, MPI28
from kinflow.datasets.readers.mpi_inf_3dhp_cameras import camera_of_test
from kinflow.datasets.readers.reprojection import reprojection_px

h5py = pytest.importorskip("h5py")
savemat = pytest.importorskip("scipy.io").savemat

FRAMES = 3


def made_cameras():
    return [made_camera((2048, 2048), 1500.0, 4.0, 0.45 * number) for number in range(14)]


def write_calibration(folder, cameras):
    lines = ["Skeletool Camera Calibration File V1.0"]
    for number, camera in enumerate(cameras):
        K, E = np.eye(4), extrinsics_of(camera)
        K[:3, :3] = matrix_of(camera)
        E[:3, 3] *= 1000
        words = [" ".join(f"{value:.9g}" for value in matrix.ravel()) for matrix in (K, E)]
        lines += [f"name          {number}", "  sensor      10 10", "  size        2048 2048"]
        lines += ["  animated    0", f"  intrinsic   {words[0]} ", f"  extrinsic   {words[1]} "]
        lines += ["  radial      0"]
    path = folder / "camera.calibration"
    path.write_text("\n".join(lines) + "\n")
    return path


def cells(arrays):
    column = np.empty((len(arrays), 1), object)
    for row, array in enumerate(arrays):
        column[row, 0] = array
    return column


def train_fields(world_m, cameras):
    cams = [camera.to_camera(world_m) for camera in cameras]
    points = [cam.reshape(FRAMES, 84).astype(np.float64) * 1000 for cam in cams]
    return {
        "annot2": cells([seen(c, world_m).reshape(FRAMES, 56).astype(np.float64) for c in cameras]),
        "annot3": cells(points),
        "univ_annot3": cells([point * 1.1 for point in points]),
        "cameras": np.arange(14)[None].astype(np.float64),
        "frames": np.arange(1, FRAMES + 1)[:, None].astype(np.float64),
    }


def write_train(root, sequence="S1/Seq1", **changes):
    world_m, cameras = made_person(FRAMES, 4).points(MPI28), made_cameras()
    folder = root / sequence
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "annot.mat", train_fields(world_m, cameras) | changes)
    write_calibration(folder, cameras)
    return world_m, cameras, folder


def official_test_fields(camera):
    world_m = made_person(FRAMES, 5).points(MPI17)
    away = camera.R_cam_world.T @ (np.array([0.2, 0.1, 4.5], np.float32) - camera.t_cam_world_m)
    world_m = world_m + (away - world_m.mean((0, 1)))
    cam = camera.to_camera(world_m)
    return cam, {
        "annot2": seen(camera, world_m)[:, None].astype(np.float64),
        "annot3": cam[:, None].astype(np.float64) * 1000,
        "univ_annot3": cam[:, None].astype(np.float64) * 1100,
        "valid_frame": np.array([[1.0], [0.0], [1.0]]),
        "activity_annotation": np.array([[1.0], [3.0], [6.0]]),
        "bb_crop": np.zeros((FRAMES, 34)),
    }


def write_test(root, sequence="TS1", **changes):
    cam, fields = official_test_fields(camera_of_test(sequence))
    folder = root / sequence
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "annot_data.mat", "w", userblock_size=512) as file:
        for name, value in (fields | changes).items():
            if value is not None:
                file[name] = value
    return cam, folder


def test_training_sequences_come_back_in_their_cameras(tmp_path):
    world_m, cameras, folder = write_train(tmp_path)
    found = read_all("mpi-inf-3dhp", tmp_path, "train")

    assert len(found) == 8 * FRAMES
    for sample in found:
        number, frame = (int(part) for part in sample.key.split("/")[2:])
        cam = cameras[number].to_camera(world_m[frame])
        assert 1e3 * np.abs(sample.joints.position_m - cam).max() < 0.1
        assert reprojection_px(sample).max() < 0.5
        np.testing.assert_allclose(sample.up, cameras[number].R_cam_world[:, 1], atol=1e-5)
        np.testing.assert_allclose(
            sample.camera.t_cam_world_m, cameras[number].t_cam_world_m, atol=1e-4
        )
    assert found[1].picture.path == folder / "imageSequence/video_0.avi"
    assert (found[1].picture.frame, found[1].time_s, found[1].identity) == (1, 1 / 25, "S1")


@pytest.mark.parametrize("sequence", ["TS2", "TS6"])
def test_test_sequences_come_back_with_lens_and_validity(tmp_path, sequence):
    cam, folder = write_test(tmp_path, sequence)
    found = read_all("mpi-inf-3dhp", tmp_path, "test")

    assert [s.valid for s in found] == [True, False, True]
    for frame, sample in enumerate(found):
        assert 1e3 * np.abs(sample.joints.position_m - cam[frame]).max() < 0.1
        if sample.valid:
            assert reprojection_px(sample).max() < 0.5
    assert found[0].picture.path == folder / "imageSequence/img_000001.jpg"
    assert found[2].action == "sports"
    assert found[0].up[1] < -0.9


def test_check_counts_and_names(tmp_path, capsys):
    write_train(tmp_path)
    write_test(tmp_path)
    (tmp_path / "S1/Seq1/camera.calibration").unlink()
    said = assert_check_fails("mpi-inf-3dhp", tmp_path, capsys)
    assert "holds 1 of 16 training sequences" in said and "camera.calibration' is not there" in said
    assert "labels in space lie 0.0 px" in said and "not valid: 1" in said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"annot3": cells([np.zeros((FRAMES, 84))] * 13)}, "does not hold 14 cameras"),
        ({"annot3": cells([np.zeros((FRAMES, 51))] * 14)}, "not frames x 84"),
        ({"annot3": cells([np.full((FRAMES, 84), np.nan)] * 14)}, "not finite"),
        ({"annot3": cells([np.full((FRAMES, 84), 1e20)] * 14)}, "as large as"),
        ({"annot2": cells([np.zeros((FRAMES + 1, 56))] * 14)}, "not 3 x 56"),
        ({"annot2": np.zeros((14, 3))}, "does not hold 14 cameras"),
        ({"annot2": "none"}, "does not hold 14 cameras"),
    ],
)
def test_wrong_training_files_are_refused(tmp_path, changes, says):
    write_train(tmp_path, **changes)
    assert_refused("mpi-inf-3dhp", tmp_path, says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"annot3": np.zeros((FRAMES, 1, 28, 3))}, "not frames x 1 x 17 x 3"
         .replace("frames", "3")),
        ({"annot3": np.full((FRAMES, 1, 17, 3), np.inf)}, "not finite"),
        ({"annot2": None}, "no array of numbers 'annot2'"),
        ({"valid_frame": np.ones((FRAMES - 1, 1))}, "'valid_frame' has the shape"),
        ({"valid_frame": "yes"}, "no array of numbers 'valid_frame'"),
    ],
)  # fmt: skip
def test_wrong_test_files_are_refused(tmp_path, changes, says):
    write_test(tmp_path, **changes)
    assert_refused("mpi-inf-3dhp", tmp_path, says)


def test_damaged_files_are_refused(tmp_path):
    _, _, folder = write_train(tmp_path)
    good = (folder / "annot.mat").read_bytes()
    for content in (good[:300], good[: len(good) // 2], b"hello", b"\x80\x02cos\nsystem\n."):
        (folder / "annot.mat").write_bytes(content)
        assert_refused("mpi-inf-3dhp", tmp_path)
    (folder / "annot.mat").unlink()
    _, folder = write_test(tmp_path)
    cut_off(folder / "annot_data.mat", 0.5)
    assert_refused("mpi-inf-3dhp", tmp_path)
    (folder / "annot_data.mat").write_bytes(good)
    assert_refused("mpi-inf-3dhp", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("V1.0", "V2.0", "another version"),
        ("Skeletool", "Skeleton", "is not a camera.calibration"),
        ("intrinsic   1", "intrinsic   nan ", "camera.calibration"),
        ("  size        2048 2048", "  size        2048", "camera.calibration"),
        ("  radial      0", "", "cut off"),
        ("extrinsic ", "extrinsic 5 ", "camera.calibration"),
    ],
)
def test_wrong_calibrations_are_refused(tmp_path, old, new, says):
    _, _, folder = write_train(tmp_path)
    path = folder / "camera.calibration"
    path.write_text(path.read_text().replace(old, new))
    assert_refused("mpi-inf-3dhp", tmp_path, says)
