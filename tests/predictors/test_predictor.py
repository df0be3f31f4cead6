"""Predictors as a whole: what they believe, and their files."""

import json

import pytest
import torch
from random_looks import look, looks_of

from kinflow.errors import InputError
from kinflow.files.tensor_files import read_tensors, write_tensors
from kinflow.geometry import Camera
from kinflow.predictors import Looks, Predictor
from kinflow.predictors import predictor as predictor_module


def test_samples_are_bodies_that_the_density_knows(predictor):
    posterior = predictor(looks_of(3))
    drawn = posterior.sample(4, torch.Generator().manual_seed(0))
    assert drawn.z.shape == (12, 42) and drawn.s.shape == (12, 6)
    eye = torch.eye(3).expand(12, 3, 3)
    torch.testing.assert_close(drawn.R_cam_root @ drawn.R_cam_root.mT, eye, atol=1e-5, rtol=0)
    rows = torch.arange(3).repeat_interleave(4)
    nats = posterior[rows].log_prob(drawn)
    assert bool(nats.isfinite().all())
    # what is drawn is likelier than what is drawn and then moved far away
    far = drawn.step(torch.cat([torch.zeros(12, 6), torch.full((12, 48), 9.0)], 1))
    assert bool((posterior[rows].log_prob(far) < nats).all())


def test_equal_seeds_give_equal_samples(predictor):
    posterior = predictor(looks_of(2))
    one, other = (posterior.sample(3, torch.Generator().manual_seed(7)).z for _ in range(2))
    assert torch.equal(one, other)


def test_people_do_not_know_of_each_other(predictor):
    together = predictor(looks_of(3)).point()
    for row in range(3):
        several = looks_of(3)
        alone = several.each(lambda v, row=row: v[row : row + 1])
        torch.testing.assert_close(
            predictor(alone).point().z[0], together.z[row], atol=1e-5, rtol=1e-4
        )


def test_a_larger_image_of_the_same_scene_changes_nothing(predictor):
    camera = Camera.from_fov((640, 480), 60.0)
    small = predictor(Looks.of([look(1)], [camera])).point()
    large = predictor(Looks.of([look(1, (600.0, 520.0), 440.0)], [camera.scaled(2.0)])).point()
    for name, value in vars(small).items():
        torch.testing.assert_close(getattr(large, name), value, atol=1e-4, rtol=1e-4)


def test_a_file_gives_the_predictor_back(predictor, tmp_path):
    path = tmp_path / "predictor.safetensors"
    predictor.save(path)
    again = Predictor.load(path)
    assert again.info == predictor.info and again.config == predictor.config
    one, other = (p(looks_of(2)).point().z for p in (predictor, again))
    torch.testing.assert_close(one, other, atol=2e-2, rtol=2e-2)  # half precision


def test_other_files_are_refused_in_a_sentence(predictor, tmp_path):
    path = tmp_path / "predictor.safetensors"
    path.write_bytes(b"nothing of the kind" * 9)
    with pytest.raises(InputError):
        Predictor.load(path)
    predictor.save(path)
    content = bytearray(path.read_bytes())
    content[-40] ^= 64
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="damaged|not finite"):
        Predictor.load(path)
    with pytest.raises(InputError, match="does not hold a predictor|not say"):
        from kinflow.assets import asset_path

        Predictor.load(asset_path("priors/attitude.safetensors"))


def test_a_file_of_an_earlier_version_is_refused_in_a_sentence(predictor, tmp_path):
    path = tmp_path / "predictor.safetensors"
    predictor.save(path)
    texts, tensors = read_tensors(path, what="a predictor")
    header = json.loads(texts["kinflow"]) | {"format": "kinflow predictor 1"}
    write_tensors(path, tensors, {"kinflow": json.dumps(header)})
    with pytest.raises(InputError, match=r"does not hold a predictor of this version"):
        Predictor.load(path)
    header = json.loads(texts["kinflow"])
    header["network"]["width"] = 64
    write_tensors(path, tensors, {"kinflow": json.dumps(header)})
    with pytest.raises(InputError, match="damaged or not of kinflow"):
        Predictor.load(path)


def test_a_quick_copy_says_nearly_the_same(predictor, monkeypatch):
    monkeypatch.setattr(predictor_module, "computes_in_half", lambda: True)
    quick, looks = predictor.quick(), looks_of(3)
    assert quick is not predictor
    exact, rough = predictor(looks).guess.centre, quick(looks).guess.centre
    assert exact.dtype == rough.dtype == torch.float32
    assert 0 < float((rough - exact).abs().max()) < 0.1
    assert {p.dtype for p in predictor.parameters()} == {torch.float32}
    monkeypatch.setattr(predictor_module, "computes_in_half", lambda: False)
    assert predictor.quick() is predictor
