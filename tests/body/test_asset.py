"""Damaged, foreign and missing body assets."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from kinflow.assets import ASSET_ROOT, asset_path, checked_path
from kinflow.body import BodyModel
from kinflow.body.asset import load_bundled, read_body
from kinflow.body.keypoints import KEYPOINT_NAMES
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.errors import AssetError

NAME = "body/anny.safetensors"


@pytest.fixture
def copied_root(tmp_path):
    (tmp_path / "body").mkdir()
    shutil.copy(ASSET_ROOT / "MANIFEST.json", tmp_path)
    shutil.copy(ASSET_ROOT / NAME, tmp_path / NAME)
    return tmp_path


def test_an_intact_copy_is_accepted(copied_root):
    assert checked_path(copied_root, NAME) == copied_root / NAME


def test_one_flipped_byte_is_noticed(copied_root):
    with (copied_root / NAME).open("r+b") as stream:
        stream.seek(100_000)
        byte = stream.read(1)[0]
        stream.seek(100_000)
        stream.write(bytes([byte ^ 1]))
    with pytest.raises(AssetError, match="is damaged .its checksum is wrong.; reinstall kinflow"):
        checked_path(copied_root, NAME)


def test_a_missing_file_is_noticed(copied_root):
    (copied_root / NAME).unlink()
    with pytest.raises(AssetError, match="is missing; reinstall"):
        checked_path(copied_root, NAME)
    with pytest.raises(AssetError, match="is missing; reinstall"):
        asset_path("body/unheard_of.safetensors")


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "7"])
def test_a_damaged_manifest_is_noticed(copied_root, content):
    (copied_root / "MANIFEST.json").write_text(content)
    with pytest.raises(AssetError, match="MANIFEST.json' is damaged; reinstall"):
        checked_path(copied_root, NAME)


def test_foreign_safetensors_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weights": torch.zeros(3)}, path)
    with pytest.raises(AssetError, match="not a body model of format body/1"):
        read_body(path)


def test_a_body_with_another_joint_order_is_refused(tmp_path):
    path = tmp_path / "body.safetensors"
    names = {"kinflow_format": "body/1", "joint_names": json.dumps(["pelvis"])}
    save_file({"weights": torch.zeros(3)}, path, names)
    with pytest.raises(AssetError, match="its joint_names differs"):
        read_body(path)


@pytest.mark.parametrize("content", [b"n", b"not safetensors", b"\xff" * 64])
def test_files_that_are_no_safetensors_are_refused(tmp_path, content):
    path = tmp_path / "body.safetensors"
    path.write_bytes(content)
    with pytest.raises(AssetError, match="not a readable body model"):
        read_body(path)


def test_a_body_without_its_tensors_is_refused(tmp_path):
    path = tmp_path / "body.safetensors"
    metadata = {
        "kinflow_format": "body/1",
        "joint_names": json.dumps(JOINT_NAMES),
        "keypoint_names": json.dumps(KEYPOINT_NAMES),
    }
    for anchors in ({}, {"anchors": "[2, 3]"}):
        save_file({"weights": torch.zeros(3)}, path, metadata | anchors)
        with pytest.raises(AssetError, match="not a readable body model"):
            read_body(path)


def test_the_bundled_file_is_read_once():
    once, again = BodyModel.load(), BodyModel.load()
    assert once.rest_basis_m.data_ptr() == again.rest_basis_m.data_ptr()
    assert once.rest_basis_m.data_ptr() == load_bundled().rest_basis_m.data_ptr()


def test_subsets_are_those_that_the_file_names():
    asset, full, joints = load_bundled(), BodyModel.load(), BodyModel.load("joints")
    chosen = BodyModel.load("fit")
    assert torch.equal(chosen.skin_weights, full.skin_weights[asset.fit_vertices])
    assert joints.num_vertices == 0 and len(joints.faces) == len(chosen.faces) == 0
    assert torch.equal(joints.rest_mean_m, full.rest_mean_m[: len(joints.rest_mean_m)])
