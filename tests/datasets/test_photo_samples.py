"""People of photographs as samples: what was seen of them, nothing of the truth."""

import pytest
from PIL import Image

from kinflow.datasets.photo_samples import PhotosConfig, main
from kinflow.datasets.samples import Samples
from kinflow.errors import InputError


def test_photographs_become_samples_without_truth(astronaut_rgb, tmp_path, capsys):
    photos, out = tmp_path / "photos", tmp_path / "out"
    (photos / "below").mkdir(parents=True)
    Image.fromarray(astronaut_rgb).save(photos / "below" / "one.png")
    Image.new("RGB", (200, 150), (90, 120, 90)).save(photos / "nobody.png")
    (photos / "broken.jpg").write_bytes(b"no picture")
    main(PhotosConfig(images=photos, out=out))
    said = capsys.readouterr().out
    assert "broken.jpg" in said and "Wrote 1 people" in said and "1 photos showed nobody" in said
    samples = Samples.load_all([out])
    assert len(samples) == 1 and not bool(samples.has_body.any()) and not bool(samples.has_up.any())
    assert float(samples.landmarks[0, :, 2].max()) > 0.9
    shard = out / "samples_below_one.safetensors"
    before = shard.stat().st_mtime_ns
    main(PhotosConfig(images=photos, out=out))
    assert shard.stat().st_mtime_ns == before


def test_a_folder_without_photographs_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no photographs"):
        main(PhotosConfig(images=tmp_path, out=tmp_path / "out"))
