"""`kinflow reconstruct`: good and bad photos together, keypoints of one's own, failures."""

import errno
import io
import json
import math
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kinflow
from kinflow.assets import ASSET_ROOT, checked_path
from kinflow.body.keypoints import BLAZEPOSE33, COCO17
from kinflow.cli.main import main
from kinflow.cli.options import Output, Reconstruct
from kinflow.cli.reconstruct import pipeline_config
from kinflow.evidence import weights
from kinflow.pipeline import photos as pipeline_photos

FIFTY_MEGAPIXELS = (8700, 5800)

PROBLEMS = {
    "text.jpg": "is not an image that can be read",
    "truncated.jpg": "is damaged or incomplete",
    "empty.jpg": "is empty (zero bytes)",
    "missing.jpg": "does not exist",
    "tiny.png": "has 1 x 1 pixels",
    "flat[50].png": "No person was found in",
}


@pytest.fixture(scope="module")
def mixed_photos(tmp_path_factory, astronaut_rgb) -> Path:
    """One good photo among all kinds of bad ones."""
    folder = tmp_path_factory.mktemp("mixed")
    Image.fromarray(astronaut_rgb).save(folder / "astronaut.png")
    whole = io.BytesIO()
    Image.fromarray(astronaut_rgb).save(whole, "JPEG")
    (folder / "truncated.jpg").write_bytes(whole.getvalue()[:20_000])
    (folder / "text.jpg").write_text("this is not an image")
    (folder / "empty.jpg").touch()
    Image.new("RGB", (1, 1)).save(folder / "tiny.png")
    Image.new("L", FIFTY_MEGAPIXELS, 120).save(folder / "flat[50].png")
    return folder


@pytest.fixture(scope="module")
def mixed_run(run_kinflow, mixed_photos):
    names = [str(mixed_photos / name) for name in ("missing.jpg", "astronaut.png")]
    out = mixed_photos / "results"
    options = ("--out", out, "--format", "npz", "json", "--max-people", 1)
    arguments = ("reconstruct", *names, mixed_photos, *options)
    return run_kinflow(*arguments, peak_kib=mixed_photos / "peak"), out


def test_a_bad_prior_is_said_once_and_before_any_photo(mixed_photos, tmp_path, capsys):
    (tmp_path / "text").write_text("no weights")
    for prior, sentence in (("realnpv", "there is no prior 'realnpv'"), ("text", "not a readable")):
        path = prior if prior == "realnpv" else str(tmp_path / prior)
        out = tmp_path / "out"
        photos = [str(mixed_photos / name) for name in ("astronaut.png", "tiny.png")]
        assert main(["reconstruct", *photos, "--out", str(out), "--prior", path]) == 2
        message = capsys.readouterr().err
        assert sentence in message and message.count("\n") == 1
        assert not out.exists()


def test_bad_photos_do_not_stop_the_good_one(mixed_run):
    done, out = mixed_run
    assert [folder.name for folder in out.iterdir()] == ["astronaut"]
    files = {path.name for path in (out / "astronaut").iterdir()}
    assert files == {".kinflow", "people.npz", "people.json"}
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "astronaut.png" in done.out


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_bad_photo_has_its_sentence(mixed_run, name):
    done, _ = mixed_run
    (line,) = [line for line in done.err.splitlines() if name in line]
    assert PROBLEMS[name] in line


def test_fifty_megapixels_need_little_memory(mixed_run, mixed_photos):
    """The photo itself is 0.15 GB; the rest is torch, the networks and their largest input."""
    peak_kib = int((mixed_photos / "peak").read_text())
    assert 0.15 * 1024**2 < peak_kib < 2 * 1024**2


def people_json(path: Path, result: kinflow.Reconstruction, **changes: object) -> Path:
    keypoints = result.people[0].keypoints_px
    rows = keypoints[[BLAZEPOSE33.index(name) for name in COCO17]]
    person = {"keypoints": rows.flatten().tolist(), "score": 0.9, **changes}
    path.write_text(json.dumps([person]))
    return path


@pytest.fixture(scope="module")
def astronaut_png(tmp_path_factory, astronaut_rgb) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(astronaut_rgb).save(path)
    return path


@pytest.fixture
def photo(tmp_path, astronaut_png) -> Path:
    return Path(shutil.copyfile(astronaut_png, tmp_path / "photo.png"))


@pytest.fixture
def with_keypoints(tmp_path, photo, astronaut_result) -> list[str]:
    """A command that needs no detector, hence fast."""
    keypoints = people_json(tmp_path / "people.json", astronaut_result)
    (person,) = json.loads(keypoints.read_text())
    named = [{**person, "image_id": name} for name in ("photo.png", "another.png")]
    keypoints.write_text(json.dumps(named))
    out = str(tmp_path / "out")
    return [
        *("reconstruct", str(photo), "--keypoints", str(keypoints)),
        *("--out", out, "--format", "json"),
    ]


def test_keypoints_of_ones_own(with_keypoints, tmp_path, astronaut_result, capsys):
    assert main(with_keypoints) == 0
    assert "people.json: read as COCO results, 17 points (COCO)" in capsys.readouterr().err
    result = kinflow.load(tmp_path / "out" / "photo")
    (person,) = result.people
    assert person.limb_error_px() < 0.04 * 512
    distance_m = (person.joints_cam_m - astronaut_result.people[0].joints_cam_m).norm(dim=-1)
    assert float(distance_m.mean()) < 0.4
    assert result.source.endswith("photo.png")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoints": [1.0] * 20}, "has 20 numbers, but known are .* 51"),
        ({"keypoints": [float("nan")] * 51}, "no person with keypoints"),
    ],
)
def test_bad_keypoints(tmp_path, photo, astronaut_result, changes, message, capsys):
    keypoints = people_json(tmp_path / "people.json", astronaut_result, **changes)
    out = tmp_path / "out"
    assert main(["reconstruct", str(photo), "--keypoints", str(keypoints), "--out", str(out)]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not out.exists()


def test_keypoints_of_ones_own_for_two_photos(
    with_keypoints, tmp_path, photo, astronaut_result, capsys
):
    command, one, _, keypoints, *rest = with_keypoints
    people_json(Path(keypoints), astronaut_result)
    two = shutil.copy(photo, tmp_path / "two.png")
    assert main([command, one, str(two), "--keypoints", keypoints, *rest]) == 2
    assert capsys.readouterr().err.count("does not say which photo it belongs to") == 2
    folder = tmp_path / "keypoints"
    folder.mkdir()
    shutil.copy(keypoints, folder / "photo_keypoints.json")
    assert main([command, one, str(two), "--keypoints", str(folder), *rest]) == 2
    said = capsys.readouterr()
    assert "has neither 'two_keypoints.json' nor 'two.json'" in said.err
    assert "photo.png" in said.out and "two.png" not in said.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--keypoints-format", "mediapipe"), "not laid out as files of mediapipe"),
        (("--keypoints-format", "halpe26"), "17 points, but halpe26 has 26"),
        (("--keypoints-format", "coco_17"), "known are auto, openpose"),
    ],
)
def test_formats_of_keypoints(with_keypoints, options, message, capsys):
    assert main([*with_keypoints, *options]) == 2
    assert message in capsys.readouterr().err


def test_a_format_without_keypoints(photo, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["reconstruct", str(photo), "--out", out, "--keypoints-format", "coco"]) == 2
    assert "give that too" in capsys.readouterr().err


@pytest.fixture
def torso_mask(tmp_path, astronaut_result) -> Path:
    """A folder with a silhouette of the astronaut: what the fitted body covers."""
    (tmp_path / "masks").mkdir()
    covered = astronaut_result.people[0].silhouette().numpy()
    Image.fromarray(covered).save(tmp_path / "masks" / "photo.png")
    return tmp_path / "masks"


def test_silhouettes_of_ones_own(with_keypoints, torso_mask, tmp_path):
    out = tmp_path / "out" / "photo"
    options = ["--format", "npz", "overlay", "--show-parts"]
    assert main([*with_keypoints[:-2], *options, "--masks", str(torso_mask)]) == 0
    (person,) = kinflow.load(out).people
    assert person.code != "no_parts"
    assert person.silhouette_iou > 0.7
    with Image.open(out / "overlay.png") as overlay:
        assert overlay.size[1] == 512
        assert overlay.size[0] > 2 * 512


def test_soft_silhouettes_of_other_spellings(with_keypoints, torso_mask, tmp_path):
    """A black figure on transparent, at half the size, under a name of another tool's."""
    mask = torso_mask / "photo.png"
    with Image.open(mask) as image:
        alpha = image.convert("L").point(lambda v: 255 * (v > 0)).resize((256, 256))
    mask.unlink()
    black = Image.new("L", alpha.size)
    Image.merge("LA", (black, alpha)).save(torso_mask / "photo_mask.PNG")
    assert main([*with_keypoints[:-2], "--format", "npz", "--masks", str(torso_mask)]) == 0
    (person,) = kinflow.load(tmp_path / "out" / "photo").people
    assert person.code != "no_parts" and person.silhouette_iou > 0.7


def test_a_folder_says_what_it_passes_over(with_keypoints, photo, tmp_path, capsys):
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "photo.png").write_bytes(photo.read_bytes())
    (folder / "notes.txt").write_text("x")
    options = [str(folder) if option == str(photo) else option for option in with_keypoints]
    assert main([*options, "--no-parts"]) == 0
    assert "Passed over in" in (error := capsys.readouterr().err) and "notes.txt (no im" in error


def test_keypoints_alone(with_keypoints, tmp_path):
    assert main([*with_keypoints, "--no-parts"]) == 0
    (person,) = kinflow.load(tmp_path / "out" / "photo").people
    assert person.part_iou is None
    assert math.isnan(person.silhouette_iou)
    assert "parts" not in person.energy


def test_labels_of_somebody_else_leave_the_keypoints(with_keypoints, torso_mask, tmp_path):
    corner = np.zeros((512, 512), np.uint8)
    corner[-60:, -90:] = 2
    Image.fromarray(corner).save(torso_mask / "photo.png")
    assert main([*with_keypoints, "--parts", str(torso_mask)]) == 0
    (person,) = kinflow.load(tmp_path / "out" / "photo").people
    assert person.part_iou is None
    assert main([*with_keypoints, "--no-parts", "--overwrite"]) == 0
    (alone,) = kinflow.load(tmp_path / "out" / "photo").people
    assert np.allclose(person.joints_cam_m, alone.joints_cam_m, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--parts", "nowhere"], "'nowhere' is not a folder"),
        (
            ["--parts", "{masks}", "--parts-palette", "lipp"],
            "no part palette 'lipp'; choose one of",
        ),
        (["--parts", "{masks}", "--masks", "{masks}"], "either part maps (--parts) or silhouettes"),
        (
            ["--masks", "{masks}", "--no-parts"],
            "Without parts (--no-parts) all labels are ignored; leave out part maps (--parts) and "
            "silhouettes (--masks) then.",
        ),
        (["--parts", "{empty}"], "has neither 'photo.png' nor 'photo_0.png'"),
        (["--parts", "{small}"], "has 9 x 9 pixels but the upright photo has 512 x 512"),
        (["--masks", "{black}"], "shows nobody: all of its pixels are black"),
        (["--masks", "{white}"], "shows a person everywhere"),
    ],
)
def test_bad_labels(with_keypoints, torso_mask, tmp_path, options, message, capsys):
    sizes = {"empty": None, "small": 9, "black": 512, "white": 512}
    for name, size in sizes.items():
        (tmp_path / name).mkdir()
        if size is not None:
            color = 255 * (name == "white")
            Image.new("L", (size, size), color).save(tmp_path / name / "photo.png")
    names = {name: tmp_path / name for name in ("masks", *sizes)}
    assert main([*with_keypoints, *(option.format(**names) for option in options)]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "out" / "photo").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--max-people", "0"], "--max-people has to be a whole number of at least 1, not 0"),
        (["--device", "abacus"], "device 'abacus' is not available"),
        (["--prior", "no-such-prior"], "no prior 'no-such-prior'"),
        (["--fov", "180"], "--fov has to be a number of at least 0.1 and below 170"),
        (["--focal-px", "-5"], "--focal-px has to be a number above 0"),
        (["--focal-px", "nan"], "--focal-px has to be a number above 0"),
    ],
)
def test_bad_options(with_keypoints, option, message, capsys):
    assert main([*with_keypoints, *option]) == 2
    assert message in capsys.readouterr().err


def test_the_focal_length_can_be_given(with_keypoints, tmp_path):
    assert main([*with_keypoints, "--focal-px", "700"]) == 0
    assert kinflow.load(tmp_path / "out" / "photo").camera.focal_px == pytest.approx(700)


def test_folders_of_others_are_left_alone(with_keypoints, tmp_path, capsys):
    (tmp_path / "out" / "photo").mkdir(parents=True)
    (tmp_path / "out" / "photo" / "mine.txt").write_text("precious")
    for options in ([], ["--overwrite"]):
        assert main([*with_keypoints, *options]) == 2
        assert "was not made by kinflow" in capsys.readouterr().err
    assert (tmp_path / "out" / "photo" / "mine.txt").read_text() == "precious"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo"]


def test_an_empty_folder_does_not_stop_the_photos(with_keypoints, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main([with_keypoints[0], str(tmp_path / "empty"), *with_keypoints[1:]]) == 2
    captured = capsys.readouterr()
    assert "photo.png" in captured.out and "empty' holds no photos" in captured.err
    assert (tmp_path / "out" / "photo" / "people.json").is_file()


def test_a_rerun_finds_everything_done(with_keypoints, tmp_path, capsys):
    assert main(with_keypoints) == 0
    written = (tmp_path / "out" / "photo" / "people.json").stat()
    capsys.readouterr()
    assert main(with_keypoints) == 0
    captured = capsys.readouterr()
    assert "already there" in captured.out
    assert captured.err == ""
    assert (tmp_path / "out" / "photo" / "people.json").stat() == written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "json", "glb"], "no scene.glb"),
        (["--format", "json", "--no-parts"], "other options (the default ones)"),
        (["--format", "json", "--fov", "70"], "other options (the default ones)"),
    ],
)
def test_a_rerun_that_asks_for_something_else_says_so(
    with_keypoints, tmp_path, options, message, capsys
):
    keypoints = with_keypoints.index("--keypoints")
    del with_keypoints[-2:]
    path = with_keypoints[keypoints + 1]
    assert main([*with_keypoints, "--format", "json"]) == 0
    written = (tmp_path / "out" / "photo" / "people.json").stat()
    capsys.readouterr()
    assert main([*with_keypoints, *options]) == 2
    error = capsys.readouterr().err
    assert message.replace("the default ones", f"keypoints={path}") in error
    assert "--overwrite" in error
    assert (tmp_path / "out" / "photo" / "people.json").stat() == written
    assert main([*with_keypoints, *options, "--overwrite"]) == 0


def test_a_photo_that_changed_is_told(with_keypoints, photo, tmp_path, astronaut_rgb, capsys):
    assert main(with_keypoints) == 0
    Image.fromarray(astronaut_rgb[:, ::-1]).save(photo)
    assert main(with_keypoints) == 2
    assert "as it was before it changed" in capsys.readouterr().err
    assert main([*with_keypoints, "--overwrite"]) == 0


def test_keypoints_that_changed_are_told(with_keypoints, tmp_path, capsys):
    assert main(with_keypoints) == 0
    path = Path(with_keypoints[with_keypoints.index("--keypoints") + 1])
    path.write_text(path.read_text() + "\n")
    assert main(with_keypoints) == 2
    assert "from before the keypoints, maps or prior" in capsys.readouterr().err
    assert main([*with_keypoints, "--overwrite"]) == 0
    assert main(with_keypoints) == 0


def test_maps_that_changed_are_told(with_keypoints, torso_mask, capsys):
    command = [*with_keypoints, "--masks", str(torso_mask)]
    assert main(command) == 0
    assert main(command) == 0
    with Image.open(torso_mask / "photo.png") as mask:
        mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(torso_mask / "photo.png")
    assert main(command) == 2
    assert "from before the keypoints, maps or prior" in capsys.readouterr().err


def test_output_below_a_file(with_keypoints, tmp_path, capsys):
    (tmp_path / "out").write_text("a file")
    assert main(with_keypoints) == 2
    assert "is a file, not a folder" in capsys.readouterr().err


def test_a_full_disk(with_keypoints, tmp_path, monkeypatch, capsys):
    def disk_full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", disk_full)
    assert main(with_keypoints) == 2
    assert "The disk is full" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_defect_in_one_photo_is_reported_and_the_rest_goes_on(
    with_keypoints, tmp_path, astronaut_rgb, monkeypatch, capsys
):
    Image.fromarray(astronaut_rgb).save(tmp_path / "another.png")

    def fails_once(result, rgb, folder, *rest):
        if folder.name == "another":
            raise ZeroDivisionError("no [such] luck")
        return write_all(result, rgb, folder, *rest)

    write_all = pipeline_photos.write_all
    monkeypatch.setattr(pipeline_photos, "write_all", fails_once)
    command, *rest = with_keypoints
    assert main([command, str(tmp_path / "another.png"), *rest]) == 1
    captured = capsys.readouterr()
    assert "another.png failed with ZeroDivisionError: no [such] luck" in captured.err
    assert captured.err.index("read as COCO") < captured.err.index("failed with"), "notes first"
    assert "photo.png" in captured.out


def test_an_interrupt_reports_what_is_done(
    with_keypoints, tmp_path, astronaut_rgb, monkeypatch, capsys
):
    Image.fromarray(astronaut_rgb).save(tmp_path / "zebra.png")

    def interrupted(path):
        if path.name == "zebra.png":
            raise KeyboardInterrupt
        return read_photo(path)

    read_photo = pipeline_photos.read_photo
    monkeypatch.setattr(pipeline_photos, "read_photo", interrupted)
    command, good, *rest = with_keypoints
    assert main([command, good, str(tmp_path / "zebra.png"), *rest]) == 130
    captured = capsys.readouterr()
    assert "photo.png" in captured.out
    assert "interrupted" in captured.err


def test_a_damaged_network_is_refused(photo, tmp_path, monkeypatch, capsys, networks_run_each_time):
    name = "evidence/movenet_multipose.onnx"
    (tmp_path / "evidence").mkdir()
    shutil.copy(ASSET_ROOT / "MANIFEST.json", tmp_path)
    content = np.fromfile(ASSET_ROOT / name, np.uint8)
    content[len(content) // 2] ^= 1
    content.tofile(tmp_path / name)
    roots = {name: tmp_path}
    monkeypatch.setattr(
        weights, "asset_path", lambda asked: checked_path(roots.get(asked, ASSET_ROOT), asked)
    )
    assert main(["reconstruct", str(photo), "--out", str(tmp_path / "out")]) == 2
    assert f"'{name}' is damaged (its checksum is wrong)" in capsys.readouterr().err


def test_result_folders_keep_the_names_that_options_always_had():
    """Folders of earlier releases are compared with these; another name would disown them."""
    options = Reconstruct(
        ("photo.jpg",),
        Output(Path("out"), ("npz",), side_view=True, joint_names="mixamo", overwrite=True),
        keypoints=Path("k.json"),
        keypoints_format="coco",
        max_people=2,
        fov=50.0,
        focal_px=900.0,
        estimate_focal=True,
        hint_3d=False,
        parts=Path("maps"),
        parts_palette="lip",
        prior="gmm",
    )
    assert pipeline_config(options).settings() == {
        "keypoints": str(Path("k.json").absolute()),
        "keypoints_format": "coco",
        "max_people": 2,
        "fov": 50.0,
        "focal_px": 900.0,
        "estimate_focal": True,
        "hint_3d": False,
        "parts": str(Path("maps").absolute()),
        "parts_palette": "lip",
        "prior": "gmm",
        "side_view": True,
        "joint_names": "mixamo",
    }
    plain = Reconstruct(("photo.jpg",), Output(Path("out")))
    assert pipeline_config(plain).settings() == {}
    other = Reconstruct(("photo.jpg",), plain.output, align_parts=False, masks=None, device="cpu")
    assert pipeline_config(other).settings() == {"align_parts": False}
    moving = Reconstruct(("clip.mp4",), plain.output, moving_camera=True)
    assert pipeline_config(moving).settings() == {"moving_camera": True}
    masks = Reconstruct(("photo.jpg",), Output(Path("out"), show_parts=True), masks=Path("m"))
    expected = {"masks": str(Path("m").absolute()), "show_parts": True}
    assert pipeline_config(masks).settings() == expected
