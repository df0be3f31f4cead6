import dataclasses
import json
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import kinflow.priors
import kinflow.training.priors.flow_trainer as flow_trainer
import kinflow.training.priors.vae_trainer as vae_trainer
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.evaluation import fitting_set
from kinflow.evaluation.prior_table import EvaluatePriorConfig, table_of
from kinflow.files.tensor_files import read_tensors, write_tensors
from kinflow.priors.pose_space import mirror_rotvec, rotvec_to_matrix
from kinflow.training.loop import Loop
from kinflow.training.priors.distillation import teacher_poses
from kinflow.training.priors.flow_trainer import FlowTraining
from kinflow.training.priors.recipe import TrainPriorConfig, splits, train
from kinflow.training.priors.stream import (
    EXCHANGED_LIMBS,
    LEGS,
    PoseStream,
    StreamConfig,
    frame_weights,
    recombine,
)
from kinflow.training.priors.vae_trainer import VaeTraining

SUBJECTS = ("01", "02", "03", "05")
SMALL_FLOW = FlowTraining(
    blocks=2, hidden=16, depth=1, batch_size=32, max_steps=60, eval_every=20, patience=3
)
SMALL_VAE = VaeTraining(latent_dim=4, hidden=16, steps=20, batch_size=32)


def make_poses(frames_per_subject: dict[str, int]) -> PoseSet:
    """Poses on a bent two-dimensional sheet: anything but a Gaussian."""
    generator = torch.Generator().manual_seed(0)
    total = sum(frames_per_subject.values())
    u = torch.randn(total, 2, generator=generator)
    directions = torch.randn(3, 57, generator=generator) / 57**0.5
    features = torch.stack([u[:, 0], u[:, 1], u[:, 0] ** 2 - 1], 1)
    counts = torch.tensor(list(frames_per_subject.values()))
    clip = torch.repeat_interleave(torch.arange(len(counts)), counts).int()
    names = tuple(frames_per_subject)
    return PoseSet(
        (features @ directions).view(total, 19, 3),
        torch.zeros(total, 3),
        clip,
        torch.arange(total).int(),
        names,
        names,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "poses.safetensors"
    make_poses(dict.fromkeys(SUBJECTS, 200)).save(path)
    return path


def test_a_flow_learns_what_a_gaussian_cannot(data, tmp_path):
    config = TrainPriorConfig(data, tmp_path / "flow", flow=SMALL_FLOW)
    longer = dataclasses.replace(
        SMALL_FLOW, max_steps=200, eval_every=50, dropout=0.0, ema_decay=0.9, learning_rate=5e-3
    )
    config = dataclasses.replace(config, flow=longer, stream=StreamConfig(0.02, -0.5, 0.0, 0.0))
    flow = train(config)
    gaussian = train(dataclasses.replace(config, family="gaussian", out=tmp_path / "gaussian"))
    R_free = rotvec_to_matrix(PoseSet.load(data).split("test").rotvec)
    assert flow.log_prob(R_free).mean() > gaussian.log_prob(R_free).mean() + 0.5


def test_a_killed_run_continues_to_the_same_weights(data, tmp_path, monkeypatch):
    whole = TrainPriorConfig(data, tmp_path / "whole", flow=SMALL_FLOW, seed=5)
    torch.manual_seed(0)
    train(whole)
    killed = dataclasses.replace(whole, out=tmp_path / "killed")
    save_prior, calls = flow_trainer.save_prior, []

    def killed_at_the_second_save(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        save_prior(*args)

    monkeypatch.setattr(flow_trainer, "save_prior", killed_at_the_second_save)
    with pytest.raises(KeyboardInterrupt):
        train(killed)
    monkeypatch.undo()
    torch.manual_seed(123)  # whatever the state of the new process
    train(killed)
    a, b = (kinflow.priors.load(c.out / "prior.safetensors") for c in (whole, killed))
    z = torch.randn(3, a.latent_dim)
    assert torch.equal(a.decode(z), b.decode(z))
    assert a.info == b.info
    assert len((killed.out / "log.csv").read_text().splitlines()) == 3
    events = EventAccumulator(str(killed.out)).Reload()
    assert [scalar.step for scalar in events.Scalars("nats/validation")] == [20, 40, 60]


@pytest.fixture(scope="module")
def whole_vae(data, tmp_path_factory) -> TrainPriorConfig:
    """A run that nobody killed."""
    out = tmp_path_factory.mktemp("vae") / "whole"
    whole = TrainPriorConfig(data, out, family="vae", vae=SMALL_VAE, seed=5)
    train(whole)
    return whole


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_killed_vae_continues_to_the_same_weights(whole_vae, tmp_path, monkeypatch, call):
    whole = whole_vae
    killed = dataclasses.replace(whole, out=tmp_path / "killed")
    save, calls = vae_trainer.save_prior, []

    def killed_at_a_save(*args):
        calls.append(args)
        save(*args)
        if len(calls) == call:
            raise KeyboardInterrupt

    monkeypatch.setattr(vae_trainer, "save_prior", killed_at_a_save)
    with pytest.raises(KeyboardInterrupt):
        train(killed)
    monkeypatch.undo()
    torch.manual_seed(123)
    train(killed)
    a, b = (kinflow.priors.load(c.out / "prior.safetensors") for c in (whole, killed))
    assert a.info == b.info
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name])
    logs = [(c.out / "log.csv").read_bytes() for c in (whole, killed)]
    assert logs[0] == logs[1] and len(logs[0].splitlines()) == 20


def test_a_checkpoint_of_an_earlier_version_goes_on(data, tmp_path):
    """Before other generators than torch's were kept, and by the names of then."""
    short = dataclasses.replace(SMALL_FLOW, patience=1)  # some evaluations of the same run
    whole = TrainPriorConfig(data, tmp_path / "whole", flow=short, seed=5)
    train(whole)
    path = whole.out / "checkpoint.safetensors"
    texts, tensors = read_tensors(path, what="a checkpoint")
    new = {name for name in tensors if name.startswith(("rng.numpy", "rng.python"))}
    prefixes = {name.split(".")[0] for name in tensors.keys() - new}
    assert new and prefixes == {"flow", "average", "optimizer", "rng"}
    assert set(json.loads(texts["progress"])) == {"step", "best_nats", "best_step"}
    write_tensors(path, {k: v for k, v in tensors.items() if k not in new}, texts)
    train(whole)  # nothing is left to do, and nothing is refused


def test_a_folder_with_another_run_is_refused(data, tmp_path):
    config = TrainPriorConfig(data, tmp_path, flow=SMALL_FLOW)
    train(config)
    with pytest.raises(InputError, match="other settings"):
        train(dataclasses.replace(config, seed=1))


@pytest.mark.parametrize("family", ["gmm", "vae"])
def test_baselines_train_and_record_their_origin(data, tmp_path, family):
    config = TrainPriorConfig(data, tmp_path, family=family, vae=SMALL_VAE, gmm_components=2)
    train(config, command="the command")
    prior = kinflow.priors.load(tmp_path / "prior.safetensors")
    assert prior.family == family
    assert prior.info.command == "the command"
    assert prior.info.data_sha256 == PoseSet.load(data).sha256
    R_free = rotvec_to_matrix(PoseSet.load(data).split("test").rotvec[:20])
    assert prior.log_prob(R_free).isfinite().all()


def test_scores_rank_poses_like_those_of_the_validation_subjects(data, tmp_path):
    poses = PoseSet.load(data)
    prior = train(TrainPriorConfig(data, tmp_path, family="gaussian"))
    loaded = kinflow.priors.load(tmp_path / "prior.safetensors")
    assert loaded.info == prior.info
    held_out = rotvec_to_matrix(poses.split("test").rotvec)
    assert loaded.score(held_out).percentile.mean() == pytest.approx(50, abs=10)
    assert loaded.score(rotvec_to_matrix(torch.full((19, 3), 1.5))).percentile == 0


def test_a_prior_without_validation_subjects_does_not_rank(tmp_path):
    make_poses({"01": 50}).save(tmp_path / "poses.safetensors")
    prior = train(TrainPriorConfig(tmp_path / "poses.safetensors", tmp_path, family="gaussian"))
    with pytest.raises(InputError, match="cannot rank"):
        prior.score(prior.sample(1))


def test_training_without_validation_subjects_is_refused(tmp_path):
    make_poses({"01": 50}).save(tmp_path / "poses.safetensors")
    with pytest.raises(InputError, match="validation"):
        train(TrainPriorConfig(tmp_path / "poses.safetensors", tmp_path, flow=SMALL_FLOW))


def test_pose_sets_without_training_poses_or_motion_are_refused(tmp_path):
    path = tmp_path / "poses.safetensors"
    make_poses({"02": 50, "16": 50}).save(path)
    for family in ("gaussian", "gmm", "vae", "realnvp"):
        with pytest.raises(InputError, match="holds no poses of training subjects"):
            train(TrainPriorConfig(path, tmp_path / "run", family=family))
    make_poses({"01": 50, "05": 50}).save(path)
    with pytest.raises(InputError, match="holds no poses of validation subjects"):
        train(TrainPriorConfig(path, tmp_path / "run", family="vae", vae=SMALL_VAE))
    poses = make_poses({"01": 9, "02": 9})
    dataclasses.replace(poses, rotvec=0 * poses.rotvec).save(path)
    for family in ("gaussian", "realnvp"):
        with pytest.raises(InputError, match="hardly differ"):
            train(TrainPriorConfig(path, tmp_path / "run", family=family))
    assert not (tmp_path / "run").exists()


def test_splits_too_small_to_compare_priors_on(data, tmp_path):
    path = tmp_path / "poses.safetensors"
    make_poses({"01": 20, "02": 20, "05": 5}).save(path)
    with pytest.raises(InputError, match="5 poses of test subjects; at least 6"):
        table_of(EvaluatePriorConfig(path))
    # fewer poses than scenes were asked for: all of them once
    scenes = fitting_set.build(PoseSet.load(path), count=9)
    assert len(scenes.clip) == 5


def test_every_parameter_is_trained(data, tmp_path):
    poses = PoseSet.load(data)
    gaussian = train(TrainPriorConfig(data, tmp_path, family="gaussian"))
    recipe = flow_trainer.FlowRecipe(
        SMALL_FLOW,
        StreamConfig(),
        gaussian.whitening,
        poses.split("train"),
        poses.split("validation"),
        gaussian.info,
    )
    before = {name: p.clone() for name, p in recipe.network.named_parameters()}
    loop = Loop(recipe, recipe.loop_config, tmp_path)
    for _ in range(3):
        loop.train_step()
    still = [n for n, p in recipe.network.named_parameters() if torch.equal(p, before[n])]
    assert still == []


def test_subjects_are_balanced():
    poses = make_poses({"01": 900, "03": 100})
    weights = frame_weights(poses, -0.5)
    share = weights[poses.subject_codes() == 1].sum() / weights.sum()
    assert share == pytest.approx(10 / 40)


def test_recombination_moves_whole_limbs():
    rotvec = torch.arange(50.0)[:, None, None].expand(50, 19, 3)
    torch.manual_seed(0)
    mixed = recombine(rotvec, leg_exchange=1.0, limb_exchange=0.0)
    assert torch.equal(mixed * ~LEGS, rotvec * ~LEGS)
    legs = mixed[:, LEGS[:, 0], 0]
    assert (legs == legs[:, :1]).all()
    assert (legs[:, 0] != rotvec[:, 0, 0]).float().mean() > 0.9
    assert torch.equal(recombine(rotvec, 0.0, 0.0), rotvec)
    arms = EXCHANGED_LIMBS[0] | EXCHANGED_LIMBS[1]
    assert torch.equal(mirror_rotvec(arms.expand(19, 3).float()).abs() > 0, arms.expand(19, 3))


def test_the_stream_adds_noise_of_the_stated_size():
    poses = make_poses({"01": 300})
    clean = PoseStream(poses, StreamConfig(0.0, -0.5, 0.0, 0.0))
    noised = PoseStream(poses, StreamConfig(0.05, -0.5, 0.0, 0.0))
    batches = []
    for stream in (clean, noised):
        torch.manual_seed(0)
        batches.append(stream.batch(2000))
    assert (batches[1] - batches[0]).std().item() == pytest.approx(0.05, rel=0.02)


@pytest.fixture(scope="module")
def teachers(data, tmp_path_factory) -> tuple[Path, Path]:
    """Weights of two flows that differ by their seeds."""
    folders = [tmp_path_factory.mktemp("teacher") for _ in range(2)]
    for seed, folder in enumerate(folders):
        train(TrainPriorConfig(data, folder, flow=SMALL_FLOW, seed=seed))
    one, other = (folder / "prior.safetensors" for folder in folders)
    return one, other


def test_a_flow_is_distilled_from_teachers(data, teachers, tmp_path):
    weights = teachers[:1]
    only_taught = dataclasses.replace(SMALL_FLOW, teacher_share=1.0)
    train(TrainPriorConfig(data, tmp_path / "student", flow=only_taught, teachers=weights))
    taught = teacher_poses(weights, 1000, seed=0)
    R_free = rotvec_to_matrix(taught.unflatten(1, (19, 3)))
    student_nats, teacher_nats = (
        kinflow.priors.load(path).log_prob(R_free).mean()
        for path in (tmp_path / "student" / "prior.safetensors", *weights)
    )
    assert abs(student_nats - teacher_nats) < 3.0
    with pytest.raises(InputError, match="cannot be a teacher"):
        teacher_poses(("gaussian",), 10, seed=0)


def test_draws_that_the_other_teachers_find_unlikely_are_left_out(teachers):
    weights = teachers
    alone, agreed = teacher_poses(weights[:1], 5000, seed=0), teacher_poses(weights, 5000, seed=0)
    assert len(alone) >= 5000 and len(agreed) >= 5000
    other = kinflow.priors.load(weights[1])
    least = [
        other.log_prob(rotvec_to_matrix(drawn.unflatten(1, (19, 3)))).quantile(0.01)
        for drawn in (alone, agreed[: len(agreed) // 2])
    ]
    assert least[1] > least[0] + 1.0


def test_teachers_are_sampled_with_all_their_noise(data, tmp_path):
    config = TrainPriorConfig(data, tmp_path / "teacher", flow=SMALL_FLOW, min_std_deg=3.0)
    prior = train(config)
    taught = teacher_poses((config.out / "prior.safetensors",), 4000, seed=0)
    kept = prior.whitening.num_kept
    assert kept < 57
    still = prior.whitening.whiten(taught)[:, kept:]
    torch.testing.assert_close(torch.cov(still.T), torch.eye(57 - kept), atol=0.1, rtol=0)


def test_training_subjects_can_be_held_out_for_cross_validation(data):
    poses = PoseSet.load(data)
    training, validation = splits(poses, ("03",))
    assert {poses.clip_subjects[c] for c in training.clip.unique()} == {"01"}
    assert {poses.clip_subjects[c] for c in validation.clip.unique()} == {"03"}
    with pytest.raises(InputError, match="02: not among the training subjects"):
        splits(poses, ("02",))


def test_spaces_are_for_flows(data, tmp_path):
    config = TrainPriorConfig(data, tmp_path / "flow", flow=SMALL_FLOW, space="sixd")
    train(config)
    loaded = kinflow.priors.load(config.out / "prior.safetensors")
    assert loaded.pose_space == "sixd-19" and loaded.latent_dim == 114
    R_free = rotvec_to_matrix(PoseSet.load(data).split("test").rotvec[:10])
    assert loaded.log_prob(R_free).isfinite().all()
    with pytest.raises(InputError, match="no choice of space"):
        train(dataclasses.replace(config, family="gmm"))
