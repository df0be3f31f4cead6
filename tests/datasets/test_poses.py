import json

import numpy as np
import pytest
import torch
from cmu_skeleton import bvh_text, elbow_angles_deg
from other_skeletons import UNITY, Skeleton, other_bvh
from safetensors.torch import save_file

from kinflow.datasets.build_poses import BuildPosesConfig, build_pose_set, main
from kinflow.datasets.mocap_splits import MocapSplits
from kinflow.datasets.plausible import plausible_frames
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError


def write_clip(folder, subject, trial, bends_deg, **angles_deg):
    angles = dict(angles_deg)
    for side in ("Left", "Right"):
        angles[f"{side}ForeArm"] = elbow_angles_deg(side, bends_deg)
    (folder / subject).mkdir(parents=True, exist_ok=True)
    (folder / subject / f"{subject}_{trial}.bvh").write_text(bvh_text(angles, len(bends_deg)))


@pytest.fixture
def corpus(tmp_path):
    for subject, trial in (("01", "01"), ("01", "02"), ("02", "01"), ("05", "01")):
        write_clip(tmp_path, subject, trial, np.linspace(20, 60, 5) + int(subject))
    return tmp_path


def test_splits_share_no_subject(corpus):
    poses, report = build_pose_set([corpus])
    assert report.frames_kept == len(poses) == 20
    parts = [poses.split(name) for name in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [10, 5, 5]
    subjects = [{part.clip_subjects[c] for c in part.clip.tolist()} for part in parts]
    assert subjects == [{"01"}, {"02"}, {"05"}]
    others = MocapSplits(validation=("01",), test=())
    assert [len(poses.split(name, others)) for name in ("train", "validation", "test")] == [
        10,
        10,
        0,
    ]


def test_save_and_load_give_the_same_content(corpus, tmp_path):
    poses, _ = build_pose_set([corpus])
    poses.save(tmp_path / "poses.safetensors")
    loaded = PoseSet.load(tmp_path / "poses.safetensors")
    assert loaded.sha256 == poses.sha256
    assert torch.equal(loaded.rotvec, poses.rotvec)
    assert loaded.clip_names == poses.clip_names
    moved = poses.rotvec.clone()
    moved[0, 0, 0] += 1e-6
    changed = PoseSet(moved, poses.root_rotvec, poses.clip, poses.frame, *poses_names(poses))
    assert changed.sha256 != poses.sha256


def poses_names(poses):
    return poses.clip_names, poses.clip_subjects


def test_a_jumping_frame_and_an_impossible_knee_are_dropped(corpus):
    bends = np.full(6, 30.0)
    legs = np.zeros((6, 3))
    legs[2, 2] = 100.0  # jumps there and back
    write_clip(corpus, "03", "01", bends, LeftUpLeg=legs)
    knees = np.tile([0.0, 0.0, 140.0], (6, 1))
    write_clip(corpus, "03", "02", bends, RightLeg=knees)
    poses, _ = build_pose_set([corpus])
    kept = poses.of_subjects(["03"])
    assert [kept.clip_names[c] for c in kept.clip.tolist()] == ["03_01"] * 4
    assert kept.frame.tolist() == [0, 1, 4, 5]


def test_a_clip_with_another_elbow_axis_is_skipped(corpus):
    other = np.tile([0.0, 40.0, 0.0], (5, 1))
    text = bvh_text({"LeftForeArm": other, "RightForeArm": -other}, 5)
    (corpus / "01" / "01_99.bvh").write_text(text)
    _, report = build_pose_set([corpus])
    (skipped,) = report.skipped_clips
    assert skipped.path.stem == "01_99"
    assert "other axes" in skipped.reason


def test_a_faster_clip_is_brought_to_30_frames_a_second(corpus):
    angles = {
        f"{side}ForeArm": elbow_angles_deg(side, np.linspace(20, 60, 12))
        for side in ("Left", "Right")
    }
    text = bvh_text(angles, 12, frame_time_s=1 / 120)
    (corpus / "01" / "01_03.bvh").write_text(text)
    poses, _ = build_pose_set([corpus])
    assert (poses.clip == poses.clip_names.index("01_03")).sum() == 3


def test_the_identity_is_a_plausible_frame():
    assert plausible_frames(np.tile(np.eye(3), (2, 22, 1, 1))).all()


def test_a_folder_without_clips_is_refused(tmp_path):
    with pytest.raises(InputError, match="no .bvh"):
        build_pose_set([tmp_path])
    with pytest.raises(InputError, match="nowhere.*does not exist"):
        build_pose_set([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="No folder"):
        build_pose_set([])
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="notes.txt' is no motion file"):
        build_pose_set([tmp_path / "notes.txt"])


def test_folders_given_twice_count_once_and_single_files_are_taken(corpus):
    once, _ = build_pose_set([corpus])
    twice, _ = build_pose_set([corpus, corpus / "01", corpus / "01" / "01_01.bvh"])
    assert twice.sha256 == once.sha256
    single, _ = build_pose_set([corpus / "05" / "05_01.bvh"])
    assert single.clip_subjects == ("05",)


def test_bad_clips_stop_nothing_and_are_named_with_reasons(corpus, tmp_path, capsys):
    plain = (corpus / "01" / "01_01.bvh").read_text()
    bad = {
        "time.bvh": plain.replace("Frame Time: 0.03333333", "Frame Time: 0"),
        "cut.BVH": plain[: len(plain) // 2],
        "tail.bvh": plain.replace("JOINT LeftLeg", "JOINT Tail"),
        "._01_01.bvh": "what macOS leaves behind",
    }
    for name, text in bad.items():
        (corpus / "01" / name).write_text(text)
    (corpus / "01" / "empty_poses.npz").write_bytes(b"")
    other = other_bvh(Skeleton(UNITY), np.tile(np.eye(3), (4, 22, 1, 1)), np.zeros((4, 3)))
    (corpus / "01" / "other.bvh").write_text(other)
    out = tmp_path / "made" / "poses.safetensors"
    assert main(BuildPosesConfig((corpus,), out)) == 2
    told = capsys.readouterr()
    assert "skipped clips: cut, tail, time, empty_poses" in told.out
    for name, reason in {
        "time.bvh": "Frame Time is '0'",
        "cut.BVH": "damaged",
        "tail.bvh": "no joint for left_knee",
        "empty_poses.npz": "it is empty",
    }.items():
        (line,) = [line for line in told.err.splitlines() if name in line]
        assert reason in line
    assert PoseSet.load(out).clip_names == ("01_01", "01_02", "other", "02_01", "05_01")


def test_when_nothing_can_be_used_the_first_reason_is_told(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.bvh").write_text("hello")
    with pytest.raises(InputError, match="a.bvh'.*HIERARCHY.*the first of 2 clips"):
        build_pose_set([tmp_path])


def test_what_is_kept_in_memory_changes_nothing(corpus, monkeypatch):
    once, _ = build_pose_set([corpus])
    monkeypatch.setattr("kinflow.datasets.motion_files._KEPT_BYTES", 0)
    again, _ = build_pose_set([corpus])
    assert again.sha256 == once.sha256


def test_a_clip_of_more_than_an_hour_is_refused(corpus, monkeypatch):
    monkeypatch.setattr("kinflow.datasets.motion_files.MAX_FRAMES", 4)
    with pytest.raises(InputError, match="longer than 4 frames"):
        build_pose_set([corpus])


def test_bad_places_are_refused_before_anything_is_computed(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("kinflow.datasets.build_poses.build_pose_set", None)
    (tmp_path / "file").write_text("hello")
    for out, message in (
        (corpus, "is a folder"),
        (tmp_path / "file" / "poses.safetensors", "file' is a file, not a folder"),
    ):
        with pytest.raises(InputError, match=message):
            main(BuildPosesConfig((corpus,), out))


@pytest.mark.parametrize("thin_deg", [-1.0, float("nan"), 181.0])
def test_impossible_distances_are_refused(tmp_path, thin_deg):
    with pytest.raises(InputError, match="thin-deg"):
        BuildPosesConfig((tmp_path,), tmp_path / "poses.safetensors", thin_deg)


def saved(path, poses, with_hash=False, **changes):
    """A pose set with some of its tensors or texts exchanged; None leaves one out."""
    texts = {"format": "kinflow-poses-1", "clip_names": poses.clip_names}
    texts |= {"clip_subjects": poses.clip_subjects}
    tensors = {name: getattr(poses, name) for name in ("rotvec", "root_rotvec", "clip", "frame")}
    if with_hash:
        texts["sha256"] = poses.sha256
    for name, value in changes.items():
        (tensors if name in tensors else texts)[name] = value
    written = {k: v if isinstance(v, str) else json.dumps(v) for k, v in texts.items()}
    save_file({k: v.contiguous() for k, v in tensors.items() if v is not None}, path, written)


FEW = PoseSet(
    torch.full((6, 19, 3), 0.1),
    torch.zeros(6, 3),
    torch.tensor([0, 0, 0, 1, 1, 1], dtype=torch.int32),
    torch.arange(6, dtype=torch.int32),
    ("a", "b"),
    ("01", "02"),
)
NAN = torch.full((6, 19, 3), torch.nan)
BAD_SETS = {
    "'rotvec' has shape": [
        {"rotvec": FEW.rotvec.flatten(0, 1)},
        {"rotvec": FEW.rotvec.double()},
        {"rotvec": FEW.rotvec.int()},
        {"rotvec": torch.zeros(6, 18, 3)},
    ],
    "'root_rotvec' has shape": [{"root_rotvec": FEW.root_rotvec[:5]}],
    "'clip' has shape": [{"clip": FEW.clip.long()}, {"clip": FEW.clip[:, None]}],
    "not finite": [{"rotvec": NAN}],
    "no poses": [{"rotvec": FEW.rotvec[:0]}, {"rotvec": torch.tensor(1.0)}],
    "it holds": [{"frame": None}],
    "a whole turn": [{"rotvec": 100 * FEW.rotvec}],
    "not those of the": [{"clip": FEW.clip - 1}, {"clip": FEW.clip + 1}],
    "negative": [{"frame": FEW.frame - 1}],
    "named by text": [{"clip_names": [1, 2]}, {"clip_subjects": [None, "01"]}],
    "the subjects of": [{"clip_subjects": ["01"]}],
    "in its header": [{"clip_names": "{}"}, {"clip_subjects": None}],
    "not valid JSON": [{"clip_names": "[1"}],
    "nested too deeply": [{"clip_names": "[" * 100_000}],
    "is not a pose set": [{"format": "other"}],
    "what its hash says": [{"with_hash": True, "rotvec": FEW.rotvec + 0.01}],
}


@pytest.mark.parametrize("sentence", BAD_SETS)
def test_pose_sets_that_cannot_be_right(sentence, tmp_path):
    path = tmp_path / "poses.safetensors"
    saved(path, FEW, with_hash=True)
    assert PoseSet.load(path).sha256 == FEW.sha256
    for changes in BAD_SETS[sentence]:
        saved(path, FEW, **changes)
        with pytest.raises(InputError, match=sentence) as caught:
            PoseSet.load(path)
        assert str(path) in str(caught.value)


def test_a_changed_pose_is_noticed(tmp_path):
    path = tmp_path / "poses.safetensors"
    FEW.save(path)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="not what its checksum says"):
        PoseSet.load(path)


def test_another_file_is_not_a_pose_set(tmp_path):
    path = tmp_path / "poses.safetensors"
    path.write_bytes(b"hello")
    with pytest.raises(InputError, match="is not a pose set"):
        PoseSet.load(path)
