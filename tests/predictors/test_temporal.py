"""Temporal networks: what they may know of a clip, and what does not matter to them."""

import math
from dataclasses import replace

import pytest
import torch
from random_looks import SMALL as SMALL_FRAME_NETWORK
from random_looks import looks_of
from random_words import SMALL, random_network, random_words

from kinflow.energy.unknowns import Unknowns
from kinflow.errors import InputError
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.predictors import Predictor, PredictorInfo
from kinflow.predictors.sequence_predictor import (
    SequencePredictor,
    SequencePredictorInfo,
    predictor_sha256,
    refined,
    windows,
)
from kinflow.predictors.temporal import Averages, TemporalConfig, time_features
from kinflow.predictors.words import Words, words_of

FRAMES = 10


@pytest.fixture(scope="module")
def network() -> SequencePredictor:
    return random_network()


def same(a: Unknowns, b: Unknowns, rows: slice = slice(None), atol: float = 1e-4) -> bool:
    pairs = zip(vars(a).values(), vars(b).values(), strict=True)
    return all(torch.allclose(x[rows], y[rows], atol=atol) for x, y in pairs)


def with_other_end(words: Words, first: int) -> Words:
    """The same until a frame, and something else from there on."""
    other = random_words(words.frames, seed=9)
    begin = words.each(lambda v: v[:first])
    mixed = {
        name: torch.cat([getattr(begin, name), getattr(other, name)[first:]])
        for name in vars(words)
    }
    times = torch.cat([begin.time_s, begin.time_s[-1] + other.time_s[: words.frames - first]])
    return replace(Words(**mixed), time_s=times)


@pytest.mark.parametrize("first", [2, 7])
def test_a_causal_network_does_not_see_the_future(network, first):
    words = random_words(FRAMES)
    other = with_other_end(words, first)
    before, after = network.through(words, causal=True), network.through(other, causal=True)
    assert same(before.bodies, after.bodies, slice(0, first))
    torch.testing.assert_close(before.log_std[:first], after.log_std[:first])
    assert not same(before.bodies, after.bodies, slice(first, None))


def test_a_full_network_does(network):
    words = random_words(FRAMES)
    other = with_other_end(words, 7)
    before, after = network.through(words).bodies, network.through(other).bodies
    assert not same(before, after, slice(0, 1))


@pytest.mark.parametrize("causal", [False, True])
def test_only_how_far_frames_are_apart_counts(network, causal):
    words = random_words(FRAMES)
    later = replace(words, time_s=words.time_s + 2.0)
    slower = replace(words, time_s=words.time_s * 2.0)
    bodies = network.through(words, causal).bodies
    assert same(bodies, network.through(later, causal).bodies)
    assert not same(bodies, network.through(slower, causal).bodies)


def test_what_is_said_of_frames_without_anybody_does_not_count(network):
    words, noise = random_words(FRAMES), random_words(FRAMES, seed=3)
    lacking = torch.zeros(FRAMES, dtype=torch.bool)
    lacking[4:6] = True
    missed = words.without(lacking)
    loud = {
        name: torch.where(lacking.view(-1, *[1] * (v.dim() - 1)), getattr(noise, name), v)
        for name, v in vars(missed).items()
        if name not in ("time_s", "seen", "R_still_cam")
    }
    assert same(network.through(missed).bodies, network.through(replace(missed, **loud)).bodies)


def test_rows_that_fill_windows_up_do_not_count(network):
    words = random_words(FRAMES)
    longer = words.each(lambda v: torch.cat([v, v[-1:], v[-1:]])[None])
    there = (torch.arange(FRAMES + 2) < FRAMES)[None]
    filled = replace(longer, seen=longer.seen & there)
    R = filled.R_still_window()
    for causal in (False, True):
        alone = network.network(words.each(lambda v: v[None]), R, causal)
        among = network.network(filled, R, causal, there)
        assert torch.isfinite(among.vectors).all()
        torch.testing.assert_close(among.vectors[:, :FRAMES], alone.vectors, atol=1e-4, rtol=0)


def test_it_does_not_matter_which_way_the_still_camera_looks(network):
    words = random_words(FRAMES, turning=True)
    R = rotvec_to_matrix(torch.tensor([0.0, 0.7, 0.0]))  # about its own vertical
    turned = replace(words, R_still_cam=R @ words.R_still_cam)
    assert same(network.through(words).bodies, network.through(turned).bodies)


def test_vectors_are_bodies_and_back():
    words = random_words(FRAMES, turning=True)
    R = words.R_still_window()
    bodies = words.bodies(words.vectors(R), R)
    said = (words.R_cam_root, words.t_cam_root_m, words.z, words.s)
    for value, truth in zip(list(vars(bodies).values())[:4], said, strict=True):
        torch.testing.assert_close(value[words.seen], truth[words.seen], atol=1e-4, rtol=0)


def test_an_untrained_network_says_of_one_frame_what_it_was_told():
    torch.manual_seed(1)
    untrained = SequencePredictor(SMALL, SequencePredictorInfo()).eval()
    words = random_words(FRAMES)
    only = torch.arange(FRAMES) == 1
    found = untrained.through(words.without(~only)).bodies
    for name, truth in (("z", words.z), ("t_cam_root_m", words.t_cam_root_m)):
        value = getattr(found, name)
        torch.testing.assert_close(value, truth[1].expand_as(value), atol=0.01, rtol=0)


def test_no_frame_is_outvoted_by_what_others_say_of_themselves():
    torch.manual_seed(0)
    averages = Averages(SMALL)
    with torch.no_grad():
        for layer in (averages.query, averages.key):
            layer.weight.normal_(0, 50)
        averages.log_stretch.fill_(5.0)  # all frames are as near
    tokens, x = torch.randn(1, 9, SMALL.width), torch.eye(9, SMALL.numbers)[None]
    apart_s = torch.zeros(1, 9, 9)
    may = torch.ones(1, 9, 9, dtype=torch.bool)
    counts = averages(tokens, x, time_features(apart_s), apart_s, may)[0, :, :9].detach()
    assert float(counts.min()) > 0
    assert float((counts.amax(1) / counts.amin(1)).max()) <= math.exp(4) + 1e-3


def test_where_nobody_was_ever_seen_bodies_are_numbers(network):
    words = random_words(FRAMES)
    nobody = words.without(torch.ones(FRAMES, dtype=torch.bool))
    assert all(torch.isfinite(v).all() for v in vars(network.through(nobody).bodies).values())


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("frames", [1, 11, 12, 13, 20, 47])
def test_windows_take_every_frame_once(frames, causal):
    taken = []
    for window, kept in windows(frames, 12, causal):
        assert len(window) == min(12, frames) and kept.start >= window.start
        assert kept.stop <= window.stop <= frames
        for frame in kept:
            assert frame - window.start >= min(frame, 4)  # some frames before it are known
        taken += list(kept)
    assert taken == list(range(frames))


@pytest.mark.parametrize("causal", [False, True])
def test_a_long_clip_is_gone_through_in_windows(network, causal):
    words = random_words(31, turning=True)
    whole = network.through(words, causal)
    for window, kept in windows(31, SMALL.window, causal):
        some = words.each(lambda v, window=window: v[window.start : window.stop])
        part = network.through(some, causal)
        rows = torch.tensor(list(kept)) - window.start
        mine = Unknowns(**{n: v[rows] for n, v in vars(part.bodies).items()})
        there = Unknowns(**{n: v[list(kept)] for n, v in vars(whole.bodies).items()})
        assert same(mine, there)
        torch.testing.assert_close(part.log_std[rows], whole.log_std[list(kept)])


def test_words_are_what_the_frame_network_says():
    torch.manual_seed(0)
    predictor = Predictor(SMALL_FRAME_NETWORK, PredictorInfo()).eval()
    looks, seen = looks_of(2), torch.tensor([True, False, True])
    words = words_of(predictor, looks, torch.arange(3) / 30, seen, at_once=1)
    posterior = predictor(looks)
    point = posterior.point()
    torch.testing.assert_close(words.z[seen], point.z, atol=1e-5, rtol=1e-5)
    assert not words.z[1].any() and words.hidden.shape == (3, 32)
    again = refined(
        predictor, words.each(lambda v: v[seen]), point, torch.zeros_like(posterior.guess.std)
    )
    torch.testing.assert_close(
        again.log_prob(point), posterior.log_prob(point), atol=1e-2, rtol=1e-4
    )
    wider = refined(
        predictor, words.each(lambda v: v[seen]), point, torch.ones_like(posterior.guess.std)
    )
    spread = [p.sample_vectors(64, torch.Generator().manual_seed(0)).std(1) for p in (again, wider)]
    torch.testing.assert_close(spread[1], spread[0] * torch.e, atol=1e-3, rtol=1e-3)


def test_a_file_holds_a_network(network, tmp_path):
    path = tmp_path / "sequence.safetensors"
    network.save(path)
    loaded, words = SequencePredictor.load(path), random_words(FRAMES)
    assert loaded.config == network.config
    assert same(loaded.through(words).bodies, network.through(words).bodies, atol=0.02)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError):
        SequencePredictor.load(damaged)
    Predictor(SMALL_FRAME_NETWORK, PredictorInfo()).save(path)
    with pytest.raises(InputError, match="sequence predictor"):
        SequencePredictor.load(path)


def test_it_knows_whose_words_it_reads():
    torch.manual_seed(0)
    predictor = Predictor(SMALL_FRAME_NETWORK, PredictorInfo()).eval()
    mine = SequencePredictor(SMALL, SequencePredictorInfo("", 0, predictor_sha256(predictor)))
    assert mine.is_of(predictor)
    assert not mine.is_of(Predictor(SMALL_FRAME_NETWORK, PredictorInfo()))


@pytest.mark.parametrize(
    "wrong", [{"window": 2}, {"width": 30, "heads": 4}, {"dropout": 1.5}, {"layers": 0}]
)
def test_shapes_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError):
        TemporalConfig(**wrong)
