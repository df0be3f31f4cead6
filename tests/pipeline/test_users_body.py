"""Photos and clips fitted on a body of the user's."""

import base64
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import roma
import torch
from clips import write_clip
from smpl_files import reference_smpl
from smpl_people import person_fields

import kinflow
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.cli.main import main
from kinflow.datasets.bvh import read_bvh
from kinflow.errors import InputError
from kinflow.export.gltf import scene_glb
from kinflow.export.people_files import load, write_json, write_npz
from kinflow.fitting.clip import ClipFitConfig
from kinflow.pipeline.clips import ClipConfig
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Outcome, Progress
from kinflow.pipeline.photos import Pipeline
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig


@pytest.fixture(scope="module")
def model(smplh_file, tmp_path_factory) -> Path:
    """A copy, which tests may take away."""
    path = tmp_path_factory.mktemp("body") / "SMPLH_MALE.npz"
    shutil.copy(smplh_file, path)
    return path


@pytest.fixture(scope="module")
def folder(model, astronaut_rgb, tmp_path_factory) -> Path:
    """Results of a photo."""
    work = tmp_path_factory.mktemp("people")
    cv2.imwrite(str(work / "astronaut.png"), astronaut_rgb[..., ::-1])
    arguments = ["reconstruct", str(work / "astronaut.png"), "--out", str(work / "out")]
    assert main([*arguments, "--body", str(model), "--betas", "12"]) == 0
    (folder,) = (work / "out").iterdir()
    return folder


@pytest.fixture(scope="module")
def result(folder) -> kinflow.Reconstruction:
    return load(folder)


def test_the_body_is_the_users(result, model, astronaut_result):
    (person,) = result.people
    (usual,) = astronaut_result.people
    assert person.users_body is not None and person.users_body.path == model
    assert person.shape.shape == (12,) and person.shape_std is None
    assert person.vertices().shape == (len(person_fields("smplh")["v_template"]), 3)
    # the same person at the same place, nearly as well explained by a body of another make
    assert (person.joints_px - usual.joints_px)[12:].norm(dim=1).mean() < 25
    assert person.limb_error_px() < usual.limb_error_px() + 8
    assert 1.4 < person.measures().height_m < 2.0


@pytest.mark.parametrize("write", [write_npz, write_json])
def test_results_come_back(result, write, tmp_path):
    write(result, tmp_path / "people")
    (person,), (again,) = result.people, load(tmp_path / "people").people
    torch.testing.assert_close(again.shape, person.shape, atol=1e-6, rtol=0)
    torch.testing.assert_close(again.vertices(), person.vertices(), atol=1e-4, rtol=0)


def test_results_need_their_body(folder, model, tmp_path):
    kept = shutil.move(model, tmp_path / "kept.npz")
    try:
        with pytest.raises(InputError, match="people are of the body .* put it back"):
            load(folder)
        model.write_bytes(b"another body")
        with pytest.raises(InputError, match="another body than what"):
            load(folder)
    finally:
        shutil.move(kept, model)


def test_parameters_are_what_was_fitted(folder, model, result, tmp_path, capsys):
    """By SMPL's equations the archive has the joints of the result."""
    arguments = ["convert", str(folder), "--out", str(tmp_path), "--to"]
    assert main([*arguments, "smplh", "--model", str(model)]) == 0
    assert "mesh off by 0.0 mm" in " ".join(capsys.readouterr().out.split())
    arrays = np.load(tmp_path / "person_0_smplh_poses.npz")
    poses = np.concatenate([arrays["cam_global_orient"][0], arrays["cam_body_pose"][0]])
    R = roma.rotvec_to_rotmat(torch.from_numpy(np.pad(poses, (0, 90)).reshape(-1, 3))).numpy()
    fields = person_fields("smplh", pose_std_m=3e-4)
    joints_m, _ = reference_smpl(fields, arrays["betas"], R, arrays["cam_trans"][0])
    np.testing.assert_allclose(joints_m, result.people[0].joints_cam_m, atol=1e-3)


def test_what_cannot_be_written_is_said(folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["convert", str(folder), "--to", "amass", "--out", str(out)]) == 2
    assert "but not amass" in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_its_joints_are_not_collected_as_those_of_the_bundled_body(folder, tmp_path, capsys):
    asked = ["evaluate", "collect", "--results", str(folder), "--out", str(tmp_path / "rows.npz")]
    assert main(asked) == 2
    assert "holds fits of a body of yours" in capsys.readouterr().err
    assert not (tmp_path / "rows.npz").exists()


def test_another_body_is_refused(folder, tmp_path, capsys):
    other = tmp_path / "other.npz"
    other.write_bytes(b"another body")
    arguments = ["convert", str(folder), "--to", "smplh", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--model", str(other)]) == 2
    assert "give that file" in " ".join(capsys.readouterr().err.split())


def test_all_files_of_a_photo(folder):
    names = {path.name for path in folder.iterdir()}
    assert {"people.npz", "people.json", "overlay.png", "scene.glb", "viewer.html"} <= names
    assert len(scene_glb(load(folder))) > 100_000


@pytest.fixture(scope="module")
def clip(model, astronaut_rgb, tmp_path_factory) -> Path:
    """The same person on a smaller picture that moves a little, in ten frames."""
    small = cv2.resize(astronaut_rgb, (256, 256), interpolation=cv2.INTER_AREA)
    frames = [np.roll(small, shift, axis=1) for shift in range(10)]
    return write_clip(tmp_path_factory.mktemp("clip") / "astronaut.avi", frames, 10, "MJPG")


@pytest.fixture(scope="module")
def clip_folder(model, clip) -> Path:
    """Its results."""
    out = clip.parent / "out"
    assert main(["reconstruct", str(clip), "--out", str(out), "--body", str(model)]) == 0
    (folder,) = out.iterdir()
    return folder


def test_clips_are_of_the_users_body_too(clip_folder, model):
    result = load(clip_folder)
    (track,) = result.tracks
    assert len(track.bodies) == 10
    assert all(body.users_body.path == model for body in track.bodies)
    assert all(torch.equal(body.shape, track.shape) for body in track.bodies)  # one for all
    assert track.shape.shape == (10,)
    for body in track.bodies:
        assert body.code not in ("implausible", "not_seen") and body.limb_error_px() < 15
        torch.testing.assert_close(body.body().joints_m, body.joints_cam_m, atol=1e-4, rtol=0)


def test_all_files_of_a_clip_are_of_it(clip_folder, model, tmp_path):
    names = {path.name for path in clip_folder.iterdir()}
    assert {"people.npz", "overlay.webm", "scene.glb", "viewer.html", "person_0.bvh"} <= names
    result = load(clip_folder)
    bvh = read_bvh(clip_folder / "person_0.bvh")
    offsets_m = result.tracks[0].bodies[0].body().shaped.joint_offsets_m()
    left_knee = bvh.offsets[bvh.joint("left_knee")] / 100
    np.testing.assert_allclose(left_knee, offsets_m[JOINT_INDEX["left_knee"]], atol=1e-4)
    page = (clip_folder / "viewer.html").read_text()
    counts = base64.b64decode(re.search(r'"counts": "([^"]+)"', page)[1])
    assert len(counts) == len(person_fields("smplh")["v_template"])

    arguments = ["convert", str(clip_folder), "--model", str(model), "--out", str(tmp_path)]
    assert main([*arguments, "--to", "smplh"]) == 0
    arrays = np.load(tmp_path / "person_0_smplh_poses.npz")
    assert arrays["poses"].shape == (10, 156) and not arrays["vertex_error_mm"].any()


def test_a_clip_that_was_stopped_goes_on_with_its_body(clip, clip_folder, model, tmp_path):
    models = Reconstructor(ReconstructorConfig(body=model, parts=False))
    clips = ClipConfig(fit=ClipFitConfig(window=6, ahead=2), keep_every=2)
    config = PipelineConfig(models.config, clips=clips, clip_formats=("npz",))
    running = Pipeline(config, models).run([clip], tmp_path)
    steps = 0
    for event in running:
        steps += isinstance(event, Progress)
        if steps == 8:
            break
    running.close()
    (outcome,) = [
        e for e in Pipeline(config, models).run([clip], tmp_path) if isinstance(e, Outcome)
    ]
    assert any("where an earlier run had come to" in note for note in outcome.notes)
    (track,) = load(next(tmp_path.iterdir())).tracks
    assert len(track.bodies) == 10
    for body in track.bodies:
        assert body.users_body.path == model and body.limb_error_px() < 15


@pytest.mark.parametrize("betas", [0, 301])
def test_options_that_cannot_be(model, betas):
    with pytest.raises(InputError, match="betas"):
        ReconstructorConfig(body=model, betas=betas)


def test_files_that_are_no_bodies(tmp_path, capsys, astronaut_rgb):
    np.savez(tmp_path / "motion.npz", poses=np.zeros((3, 156)))
    with pytest.raises(InputError, match="has no v_template, shapedirs, .*; give the .npz or .pkl"):
        Reconstructor(ReconstructorConfig(body=tmp_path / "motion.npz"))(astronaut_rgb)
