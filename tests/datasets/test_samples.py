"""Samples: labels there or not, shards that come back, damage that is named."""

import pytest
import torch

from kinflow.datasets.samples import Samples, look_of
from kinflow.errors import InputError
from kinflow.evidence.region import Region
from kinflow.evidence.types import CloseLook
from kinflow.geometry import Camera

CAMERA = Camera.centred((640, 480), 500.0)


def a_look(seed=0) -> CloseLook:
    g = torch.Generator().manual_seed(seed)
    return CloseLook(
        Region((10.0, 20.0), 200.0, 0.25),
        torch.rand(33, 3, generator=g),
        torch.randn(33, 3, generator=g),
        torch.rand(1152, generator=g),
        torch.randn(33, 288, generator=g).half(),
        torch.rand(4608, generator=g).half(),
    )


def two() -> Samples:
    known = Samples.of_look(
        a_look(1), CAMERA, rotvec=torch.ones(22, 3), has_body=torch.tensor(True)
    )
    return Samples.concatenate([Samples.of_look(a_look(), CAMERA), known])


def test_what_is_not_known_is_marked():
    samples = two()
    assert samples.has_body.tolist() == [False, True] and not bool(samples.has_up.any())
    assert float(samples.rotvec[0].abs().sum()) == 0 and float(samples.rotvec[1].sum()) == 66


def test_a_look_comes_back():
    look, back = a_look(), look_of(two(), 0)
    assert back.region.roll == pytest.approx(look.region.roll)
    torch.testing.assert_close(back.landmarks, look.landmarks)
    torch.testing.assert_close(back.features, look.features, atol=1e-3, rtol=1e-3)
    assert torch.equal(back.joint_features, look.joint_features)
    assert torch.equal(back.map_features, look.map_features)


def test_shards_come_back_in_order(tmp_path):
    two().save(tmp_path / "samples_00001.safetensors")
    two()[1:].save(tmp_path / "samples_00002.safetensors")
    assert Samples.load_all([tmp_path]).has_body.tolist() == [False, True, True]


def test_a_folder_without_samples_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no samples"):
        Samples.load_all([tmp_path])
    with pytest.raises(InputError, match="no folder of samples"):
        Samples.load_all([])


def test_labels_that_are_no_numbers_are_refused(tmp_path):
    bad = two()
    bad.root_cam_m[0, 0] = float("nan")
    bad.save(tmp_path / "samples_00000.safetensors")
    with pytest.raises(InputError, match="not finite"):
        Samples.load_all([tmp_path])


@pytest.mark.parametrize("column", ["features", "joint_features", "has_body"])
def test_a_shard_of_another_shape_is_refused(column, tmp_path):
    from kinflow.files.tensor_files import write_tensors

    tensors = {**vars(two()), column: torch.zeros(2, 5)}
    write_tensors(tmp_path / "samples_0.safetensors", tensors, {"format": "kinflow-samples-2"})
    with pytest.raises(InputError, match=column):
        Samples.load_all([tmp_path])


def test_a_truncated_shard_is_refused(tmp_path):
    path = tmp_path / "samples_0.safetensors"
    two().save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError):
        Samples.load_all([tmp_path])
