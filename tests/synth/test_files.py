"""`kinflow synth`: files that appear whole, hold the truth, and are left alone once there."""

import json

import numpy as np
import pytest
from PIL import Image

from kinflow.body.part_maps import part_map
from kinflow.cli.main import main
from kinflow.errors import InputError
from kinflow.evidence.label_maps import read_part_map
from kinflow.synth import SceneConfig, SceneSource
from kinflow.synth.files import part_ids, read_truth

SMALL = ("--scenes.grid-cells", "64")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth") / "scenes"
    assert main(["synth", "--out", str(out), "--count", "2", *SMALL]) == 0
    return out


def test_all_files_are_there(folder):
    names = ["000000", "000001"]
    for kind, suffix in (("images", "png"), ("masks", "png"), ("parts", "png"), ("truth", "npz")):
        assert sorted(p.name for p in (folder / kind).iterdir()) == [f"{n}.{suffix}" for n in names]
    settings = json.loads((folder / "synth.json").read_text())
    assert settings["scenes"]["grid_cells"] == 64


def test_the_truth_is_that_of_the_scene(folder):
    truth = read_truth(folder / "truth" / "000001.npz")
    scene = SceneSource(SceneConfig(grid_cells=64)).scene(1)
    for name in ("pose", "shape", "t_cam_root_m", "keypoints_px", "parts", "detected_keypoints_px"):
        np.testing.assert_array_equal(truth[name], getattr(scene, name).numpy())
    assert float(truth["focal_px"]) == scene.camera.focal_px
    size = scene.camera.image_size
    for kind in ("images", "masks", "parts"):
        with Image.open(folder / kind / "000001.png") as image:
            assert image.size == size
            if kind == "parts":
                np.testing.assert_array_equal(np.asarray(image), part_ids(scene))
    seen = read_part_map(folder / "parts" / "000001.png", size, part_map("kinflow"))
    assert (seen > 1).any()


def test_pictures_show_what_the_truth_says(folder):
    """Pixels of one part are more alike than all: there is a body where the truth says."""
    spreads = []
    for number in ("000000", "000001"):
        with Image.open(folder / "images" / f"{number}.png") as image:
            rgb = np.asarray(image).astype(float)
        with Image.open(folder / "parts" / f"{number}.png") as image:
            parts = np.asarray(image)
        whole = rgb.reshape(-1, 3).std(0).mean()
        sizes = {part: int((parts == part).sum()) for part in range(1, 15)}
        spreads += [rgb[parts == p].std(0).mean() / whole for p, n in sizes.items() if n > 300]
    assert len(spreads) >= 8
    assert np.mean(spreads) < 0.8


def test_what_is_there_is_left_alone(folder, capsys):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.*")}
    (folder / "truth" / "000001.npz").unlink()
    assert main(["synth", "--out", str(folder), "--count", "2", *SMALL]) == 0
    assert "Wrote 1 scenes" in capsys.readouterr().out
    assert (folder / "truth" / "000000.npz").stat().st_mtime_ns == before[
        folder / "truth" / "000000.npz"
    ]
    assert (folder / "truth" / "000001.npz").exists()


def test_bad_input(folder, tmp_path, capsys):
    assert main(["synth", "--out", str(folder), "--count", "2"]) == 2
    assert "other settings" in capsys.readouterr().err
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "synth.json").write_text("{")
    assert main(["synth", "--out", str(tmp_path / "damaged"), "--count", "1", *SMALL]) == 2
    assert "synth.json' is not valid JSON" in capsys.readouterr().err
    assert main(["synth", "--out", str(tmp_path / "x"), "--count", "0"]) == 2
    assert "count has to be a whole number of at least 1, not 0" in capsys.readouterr().err
    (tmp_path / "file").write_text("x")
    assert main(["synth", "--out", str(tmp_path / "file"), "--count", "1"]) == 2
    with pytest.raises(InputError, match="does not exist"):
        read_truth(tmp_path / "none.npz")
    good = read_truth(folder / "truth" / "000000.npz")
    bad = {
        "'pose' is missing": {k: v for k, v in good.items() if k != "pose"},
        "'pose' has shape": good | {"pose": good["pose"][:3]},
        "'known' has shape": good | {"known": good["known"][1:]},
        "'parts' has shape": good | {"parts": good["parts"][None]},
        "'shape' holds values that are not finite": good | {"shape": good["shape"] * np.nan},
        "no part's": good | {"parts": good["parts"] + np.uint8(50)},
        "have to be positive": good | {"focal_px": np.array(-1.0)},
    }
    for sentence, arrays in bad.items():
        np.savez(tmp_path / "bad.npz", **arrays)
        with pytest.raises(InputError, match=sentence):
            read_truth(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="not the truth of a scene"):
        read_truth(tmp_path / "other.npz")
