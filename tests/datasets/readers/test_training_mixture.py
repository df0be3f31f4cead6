"""Datasets in their official layouts as sources of one training of the predictor."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_trees import Shot, coco_tree, densepose_tree, shots
from PIL import Image

import kinflow.priors
from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.cli.main import main
from kinflow.datasets import sample_looks
from kinflow.datasets.look_index import INDEX_NAME, LookIndex
from kinflow.datasets.readers.joint_names import OPENPOSE18, SMPL24
from kinflow.datasets.samples import Samples
from kinflow.errors import InputError
from kinflow.files.tensor_files import read_tensors, write_tensors
from kinflow.geometry.rotations import matrix_to_rotvec
from kinflow.predictors import Predictor
from kinflow.predictors.network import NetworkConfig
from kinflow.priors.storage import save_prior
from kinflow.training.loop import Loop
from kinflow.training.predictors import runs
from kinflow.training.predictors.config import TrainPredictorConfig
from kinflow.training.predictors.mixture import looks_of_source
from kinflow.training.predictors.recipe import PredictorRecipe
from kinflow.training.predictors.sources import Source, source_of

SMALL = NetworkConfig(
    width=24, heads=2, layers=1, readout=32, blocks=1, context=8, flow_blocks=1, flow_hidden=16,
    dropout=0.1,
)  # fmt: skip
UPRIGHT = np.diag([1.0, -1.0, -1.0]).astype(np.float32)
"""Turns the camera's frame into a world whose y axis is up."""


def threedpw_tree(root: Path, made: list[Shot]) -> Path:
    """A sequence of one frame for each shot, which lies in the corner of a picture of full size."""
    for i, shot in enumerate(made):
        person, name = shot.people[0], f"made_{i:02d}"
        camera, body, joints = person.camera, person.body, person.joints
        assert camera is not None and body is not None and joints is not None
        R = body.R_parent_joint.copy()
        R[0] = UPRIGHT @ R[0]
        rotvec = np.zeros((1, 72))
        rotvec[0, :66] = matrix_to_rotvec(torch.from_numpy(R)).flatten().numpy()
        at_m = dict(zip(joints.names, joints.position_m @ UPRIGHT.T, strict=True))
        at_m |= {f"{s}_hand": at_m[f"{s}_wrist"] for s in ("left", "right")}
        K = np.array([[camera.focal_px[0], 0, camera.principal_px[0]],
                      [0, camera.focal_px[1], camera.principal_px[1]], [0, 0, 1]])  # fmt: skip
        extrinsics = np.eye(4)
        extrinsics[:3, :3] = UPRIGHT.T
        content = {
            "sequence": name,
            "poses": [rotvec],
            "trans": [at_m["pelvis"][None].astype(float)],
            "betas": [np.zeros(10)],
            "genders": ["m"],
            "cam_intrinsics": K,
            "cam_poses": extrinsics[None],
            "campose_valid": [np.ones(1, int)],
            "poses2d": [openpose(shot)[None]],
            "jointPositions": [np.stack([at_m[n] for n in SMPL24]).reshape(1, 72).astype(float)],
            "img_frame_ids": np.arange(1),
        }
        path = root / "sequenceFiles/train" / f"{name}.pkl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(content, protocol=2))
        picture = np.full((1080, 1920, 3), 90, np.uint8)
        picture[: shot.rgb.shape[0], : shot.rgb.shape[1]] = shot.rgb
        at = root / "imageFiles" / name / "image_00000.jpg"
        at.parent.mkdir(parents=True)
        Image.fromarray(picture).save(at, quality=92)
    return root


def openpose(shot: Shot) -> np.ndarray:
    points = shot.people[0].keypoints
    assert points is not None
    columns = np.zeros((3, 18))
    for i, name in enumerate(OPENPOSE18):
        if name in points.names:
            columns[:2, i], columns[2, i] = points.px[points.names.index(name)], 0.9
    return columns


@pytest.fixture(scope="module")
def owned(tmp_path_factory) -> Path:
    """What somebody has: 3DPW, COCO with DensePose, and COCO as shards."""
    root = tmp_path_factory.mktemp("owned")
    made = shots(5, side=320)
    threedpw_tree(root / "3dpw", made[:3])
    coco_tree(root / "coco", made[3:])
    densepose_tree(root / "densepose", made[2:4])
    asked = ["data", "shard", "coco", str(root / "coco"), "--split", "val2017"]
    assert main([*asked, "--out", str(root / "shards")]) == 0
    return root


@pytest.fixture(scope="module")
def sources(owned) -> tuple[Source, ...]:
    return (
        Source("3dpw", owned / "3dpw", split="train", weight=2.0),
        Source("coco", owned / "coco", split="val2017"),
        Source("coco-densepose", owned / "densepose", split="minival2014", use=("parts",)),
        Source("shards", owned / "shards", use=("keypoints", "seen")),
    )


def config_of(owned: Path, mixed: tuple[Source, ...], out: Path, **changes):
    three_d = Source("3dpw", owned / "3dpw", split="train", weight=2.0)
    config = TrainPredictorConfig(
        out=out,
        sources=mixed,
        validation=(three_d,),
        looks=owned / "looks",
        recipe="ws",
        network=SMALL,
        batch_size=12,
        steps=9,
        eval_every=3,
        pool=4,
    )
    return replace(config, **changes)


def losses_of(loop: Loop, steps: int) -> list[float]:
    return [loop.train_step() for _ in range(steps)]


def test_one_command_trains_on_everything_that_somebody_has(owned, tmp_path, monkeypatch, capsys):
    asked = ["train", "predictor", "--recipe", "ws", "--steps", "4", "--eval-every", "2"]
    asked += ["--batch-size", "8", "--looks", str(owned / "looks")]
    asked += [f"--network.{n.replace('_', '-')}={v}" for n, v in vars(SMALL).items()]
    asked += ["--sources", f"3dpw {owned / '3dpw'} split=train weight=2"]
    asked += [f"coco {owned / 'coco'} split=val2017 use=keypoints,parts"]
    asked += [f"shards {owned / 'shards'} use=keypoints"]
    asked += ["--validation", f"3dpw {owned / '3dpw'} split=train"]
    assert main([*asked, "--out", str(tmp_path / "run")]) == 0
    assert "the detector saw 3 people" in capsys.readouterr().out
    metrics = Predictor.load(tmp_path / "run" / "predictor.safetensors").info.metrics
    assert metrics["joints_mpjpe_mm"] > 0 and "nats" not in metrics

    # what the detector saw is not looked for again
    monkeypatch.setattr(sample_looks.SampleLooker, "look_at", None)
    assert main([*asked, "--out", str(tmp_path / "again")]) == 0
    again = Predictor.load(tmp_path / "again" / "predictor.safetensors").info.metrics
    assert again == metrics


def test_how_many_records_are_left_out_is_said(tmp_path, capsys):
    root = coco_tree(tmp_path / "coco", shots(1, side=320))
    labels = root / "annotations/person_keypoints_train2017.json"
    content = json.loads(labels.read_text())
    damaged = {**content["annotations"][0], "keypoints": [1.0, 2.0]}
    content["annotations"] += [{**damaged, "id": 100 + i} for i in range(9)]
    labels.write_text(json.dumps(content))
    source = Source("coco", root, split="train2017")
    looks_of_source(source, tmp_path / "looks")
    said = "9 of 11 records were left out: they cannot be right."
    assert f"{source}: {said}" in capsys.readouterr().out
    looks = tmp_path / "again"
    asked = ["data", "see", "coco", str(root), "--split", "train2017", "--out", str(looks)]
    assert main(asked) == 2
    assert said in capsys.readouterr().out


def test_a_validation_that_cannot_choose_is_said_before_all_else_is_looked_at(owned, tmp_path):
    flat = Source("coco", owned / "coco", split="val2017")
    config = config_of(owned, (Source("coco", owned / "coco", split="train2017"),), tmp_path)
    config = replace(config, validation=(flat,), looks=tmp_path / "looks")
    with pytest.raises(InputError, match="by which weights could be chosen"):
        PredictorRecipe(config)
    assert [folder.name[:12] for folder in (tmp_path / "looks").iterdir()] == ["coco_val2017"]


def test_labels_are_masked_sample_by_sample(owned, sources, tmp_path):
    def found(**changes) -> list[tuple[int, bool, bool, bool]]:
        recipe = PredictorRecipe(config_of(owned, sources, tmp_path, **changes))
        rows = [stream.stream.at(0, len(stream)) for stream in recipe.mixture.streams]
        return [
            (
                len(batch),
                bool(batch.in_space.any()),
                bool((batch.points[..., 2] > 0).any()),
                bool((batch.parts != 0).any()),
            )
            for batch in rows
        ]

    weak = found()
    assert [row[1:] for row in weak] == [
        (True, True, False),
        (False, True, True),
        (False, False, True),
        (False, True, False),
    ]
    assert weak[0][0] == 3 and weak[1][0] == 2
    assert [row[1:] for row in found(labels=0.0)][0] == (False, True, False)
    assert found(recipe="fs", sources=sources[:1]) == [(3, True, True, False)]
    seen = found(recipe="ss", sources=(sources[0], sources[3]))
    assert all(row[1:] == (False, True, False) for row in seen)


def test_labels_lie_where_the_detector_sees_the_person(owned, sources, tmp_path):
    recipe = PredictorRecipe(config_of(owned, sources, tmp_path))
    batch = recipe.mixture.streams[0].stream.at(0, 3)
    xy, weight = batch.points.split([2, 1], -1)
    gap = (xy - batch.looks.landmarks[..., :2]).norm(dim=-1)[weight[..., 0] > 0]
    assert float(gap.median()) < 0.03
    limbs = [BLAZEPOSE33.index(f"left_{n}") for n in ("shoulder", "elbow", "hip", "knee", "ankle")]
    assert bool((batch.joints_cam_m[:, limbs, 3] == 1).all())
    # labels in space and in the picture are of the same points
    joints = batch.joints_cam_m[:, limbs]
    px = joints[..., :2] / joints[..., 2:3] * batch.looks.focal_px[:, None, None]
    px = px + batch.looks.principal_px[:, None]
    off = (px - batch.looks.region[:, None, :2]).norm(dim=-1) / batch.looks.region[:, None, 2]
    assert float((off - xy[:, limbs].norm(dim=-1)).abs().median()) < 0.03


def test_joints_in_space_teach(owned, sources, tmp_path):
    # of the poses beside them nothing is made here
    joints = (replace(sources[0], use=("joints", "keypoints")),)
    config = config_of(owned, joints, tmp_path, recipe="fs", learning_rate=3e-3, steps=60)
    recipe = PredictorRecipe(config)
    recipe.evaluate()
    before = recipe._figures["joints_mpjpe_mm"]
    losses_of(Loop(recipe, recipe.loop_config, tmp_path), 60)
    assert -recipe.evaluate() < 0.6 * before


def test_a_killed_run_goes_on_in_the_middle_of_an_epoch(owned, sources, tmp_path):
    whole = PredictorRecipe(config_of(owned, sources, tmp_path / "whole"))
    curve = losses_of(Loop(whole, whole.loop_config, tmp_path / "whole"), 9)
    assert any(s.stream.taken % len(s) for s in whole.mixture.streams)

    first = PredictorRecipe(config_of(owned, sources, tmp_path / "cut"))
    loop = Loop(first, first.loop_config, tmp_path / "cut")
    (tmp_path / "cut").mkdir()
    head = losses_of(loop, 4)
    loop.save()
    losses_of(loop, 2)  # and killed: what came after the checkpoint is lost

    second = PredictorRecipe(config_of(owned, sources, tmp_path / "cut"))
    loop = Loop(second, second.loop_config, tmp_path / "cut")
    loop.resume()
    assert head + losses_of(loop, 5) == curve
    one, other = whole.network.state_dict(), second.network.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_of_other_data_prior_body_or_version_is_refused(
    owned, sources, tmp_path, monkeypatch
):
    config = config_of(owned, sources[1:2], tmp_path / "run")
    recipe = PredictorRecipe(config)
    loop = Loop(recipe, recipe.loop_config, config.out)
    config.out.mkdir()
    loop.save()

    def refused(says: str, **changes) -> None:
        other = PredictorRecipe(replace(config, **changes))
        with pytest.raises(InputError, match=says):
            Loop(other, other.loop_config, config.out).resume()

    save_prior(kinflow.priors.load("gaussian"), tmp_path / "prior.safetensors")
    refused("another pose prior", prior=str(tmp_path / "prior.safetensors"))
    refused("another data", sources=sources[:2])
    refused("another value of 'recipe'", recipe="mix")
    monkeypatch.setattr(runs, "__version__", "0.0.1")
    refused("another version of kinflow$|another version of kinflow;")
    monkeypatch.undo()
    monkeypatch.setattr(runs, "checksum", lambda tensors, texts: "other")
    refused("another body")


def copied(owned: Path, to: Path) -> Path:
    """The looks at COCO's people in a folder of their own."""
    from_folder = next((owned / "looks").glob("coco_val2017_*"))
    to.mkdir()
    for path in from_folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_shards_that_are_gone_or_spoilt_are_named(owned, sources, tmp_path):
    PredictorRecipe(config_of(owned, sources, tmp_path / "run"))  # looks are there now
    folder = copied(owned, tmp_path / "looks")
    shard = next(folder.glob("samples_*"))

    def refused(says: str) -> None:
        config = config_of(
            owned, (Source("looks", folder),), tmp_path / "x", validation=sources[:1]
        )
        with pytest.raises(InputError, match=says):
            PredictorRecipe(config)

    texts, tensors = read_tensors(shard, what="a shard")
    spoilt = {name: value.clone() for name, value in tensors.items()}
    spoilt["keypoints"][1, 3, 0] = torch.nan
    write_tensors(shard, spoilt, texts)
    refused(f"{shard.name}.*'keypoints' of sample 1 is not finite")
    shard.unlink()
    refused(f"lacks '{shard.name}'.*{INDEX_NAME}")
    (folder / INDEX_NAME).unlink()
    refused("holds no samples")


def test_a_folder_of_looks_is_of_one_dataset(owned, sources, tmp_path):
    folder = tmp_path / "looks"
    asked = ["data", "see", "coco", str(owned / "coco"), "--out", str(folder)]
    assert main([*asked, "--split", "val2017"]) == 0
    index = LookIndex.there(folder)
    assert index is not None and sum(index.shards.values()) == len(Samples.load_all([folder])) == 2
    assert main([*asked, "--split", "train2017"]) == 2
    # a shard that is gone is made again
    gone = next(folder.glob("samples_*"))
    gone.unlink()
    assert main([*asked, "--split", "val2017"]) == 0 and gone.exists()


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"recipe": "fs"}, "'fs' has no use for any of the 2 samples of 'coco"),
        ({"sources": ()}, "nothing to learn from"),
        ({"validation": ()}, "validation has to name"),
    ],
)
def test_mixtures_that_teach_nothing_are_refused(changes, says, owned, sources, tmp_path):
    with pytest.raises(InputError, match=says):
        PredictorRecipe(config_of(owned, sources[1:2], tmp_path, **changes))


@pytest.mark.parametrize(
    "text, says",
    [
        ("coco", "is no source"),
        ("coco /x split", "is no source"),
        ("coco /x weight=two", "is no source"),
        ("coco /x colour=red", "is no source"),
        ("cocoa /x", "'cocoa' is no source"),
        ("coco /x use=poses", "use= in .* takes any of"),
        ("coco /x weight=0", "weight has to be"),
        ("looks /x split=train", "neither split nor at_most"),
        ("coco '/x", "is no source"),
    ],
)
def test_sources_that_are_none_are_refused(text, says):
    with pytest.raises(InputError, match=says):
        source_of(text)


def test_a_source_is_one_text():
    source = source_of("coco '/my data/coco' use=keypoints,parts weight=2.5 split=train2017")
    assert source.root == Path("/my data/coco") and source.use == ("keypoints", "parts")
    assert source.weight == 2.5 and source_of(str(source)).split == "train2017"


def test_motion_capture_has_no_pictures_to_learn_from(tmp_path, owned, sources):
    source = Source("cmu", tmp_path)
    with pytest.raises(InputError, match="no pictures"):
        PredictorRecipe(config_of(owned, (source,), tmp_path / "run"))


def test_the_command_line_says_what_is_no_source(tmp_path, capsys):
    out = str(tmp_path / "run")
    assert main(["train", "predictor", "--out", out, "--sources", "cocoa /x"]) == 2
    assert "'cocoa' is no source" in capsys.readouterr().err
    assert main(["train", "predictor", "--out", out]) == 2
    assert "nothing to learn from" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
