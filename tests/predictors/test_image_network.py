"""The image network: backbones named as torchvision does, one interface, pictures that matter."""

from dataclasses import replace

import pytest
import torch
from random_looks import looks_of

from kinflow.errors import InputError
from kinflow.files.tensor_files import write_tensors
from kinflow.predictors import Predictor, PredictorInfo
from kinflow.predictors.backbone import ResNet
from kinflow.predictors.image_network import ImageNetworkConfig

SMALL = ImageNetworkConfig(
    latent_size=42, crop_px=48, readout=24, blocks=1, context=8, flow_blocks=1, flow_hidden=16
)


def pictured(count: int, side: int = 48, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    crop = torch.randint(0, 256, (count, side, side, 3), generator=generator, dtype=torch.uint8)
    return replace(looks_of(count), crop=crop)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        predictor = Predictor(SMALL, PredictorInfo())
        predictor.train()(pictured(8))  # running statistics of pictures like these
    return predictor.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("name", "parameters", "key", "shape"),
    [
        ("resnet18", 11_176_512, "layer4.1.conv2.weight", (512, 512, 3, 3)),
        ("resnet50", 23_508_032, "layer3.0.downsample.0.weight", (1024, 512, 1, 1)),
    ],
)
def test_backbones_are_those_of_torchvision(name, parameters, key, shape):
    network = ResNet(name)
    # torchvision's count without the 1,000 classes
    assert sum(p.numel() for p in network.parameters()) == parameters
    state = network.state_dict()
    assert tuple(state[key].shape) == shape and "layer1.0.bn2.running_var" in state


@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_a_backbone_begins_with_a_file(kind, tmp_path):
    there = {**ResNet("small").state_dict(), "fc.weight": torch.zeros(3, 3)}
    path = tmp_path / ("weights.pth" if kind == "torch" else "weights.safetensors")
    torch.save(there, path) if kind == "torch" else write_tensors(path, there, {})
    network = ResNet("small")
    network.begin_with(path)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, there[name])


def test_a_file_of_another_backbone_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    write_tensors(path, ResNet("small").state_dict(), {})
    with pytest.raises(InputError, match="not of this backbone"):
        ResNet("resnet18").begin_with(path)


def test_it_gives_what_the_evidence_network_gives(predictor):
    looks = pictured(3)
    posterior = predictor(looks)
    assert len(posterior) == 3
    body = posterior.point()
    assert body.z.shape == (3, 42) and body.R_cam_root.shape == (3, 3, 3)
    eye = torch.eye(3).expand(3, 3, 3)
    torch.testing.assert_close(body.R_cam_root @ body.R_cam_root.mT, eye, atol=1e-5, rtol=0)
    assert posterior.log_prob(body).isfinite().all()
    assert posterior.sample(4).z.shape == (12, 42)


def test_the_picture_and_the_view_matter(predictor):
    looks = pictured(3)
    other = replace(looks, crop=pictured(3, seed=1).crop)
    turned = replace(looks, region=looks.region + torch.tensor([0.0, 0.0, 40.0, 0.3]))
    first = predictor(looks).guess.centre
    for changed in (other, turned):
        assert float((predictor(changed).guess.centre - first).abs().max()) > 1e-4


def test_what_the_detector_saw_does_not(predictor):
    looks = pictured(2)
    blind = replace(looks, landmarks=torch.zeros(2, 33, 3), features=torch.zeros(2, 0))
    torch.testing.assert_close(predictor(blind).guess.centre, predictor(looks).guess.centre)


def test_looks_without_pictures_of_its_size_are_refused(predictor):
    with pytest.raises(InputError, match="looks at pictures"):
        predictor(looks_of(2))
    with pytest.raises(InputError, match="48 x 48"):
        predictor(pictured(2, side=64))


def test_a_file_keeps_it(predictor, tmp_path):
    predictor.save(tmp_path / "image.safetensors")
    loaded = Predictor.load(tmp_path / "image.safetensors")
    assert loaded.config == SMALL and not loaded.training
    looks = pictured(2)
    torch.testing.assert_close(
        loaded(looks).guess.centre, predictor(looks).guess.centre, atol=0.02, rtol=0.02
    )
