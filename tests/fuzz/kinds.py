"""The kinds of files that are damaged, and the command that reads each of them.

A kind knows how to make a good file, how to damage it, and how to read it the way a user would.
Readers that no command reaches are called as a program would call them: a clear `InputError` counts
as exit code 2 there.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

_TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(_TESTS / name) for name in ("", "files", "body", "datasets", "evidence")]

import good_files
import mutations
from PIL import Image

import kinflow
from kinflow.assets import asset_path
from kinflow.cli.main import main
from kinflow.errors import InputError

Damage = Callable[[bytes, random.Random], bytes]


def _no_fault(code: int | None, folder: Path) -> str:
    return ""


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    file_name: str
    """Where it lies in the trial's folder."""
    good: Callable[[random.Random], bytes]
    damaged: Damage
    run: Callable[[Path, Path], int]
    """Called with the file and the trial's folder; returns the exit code."""
    fault: Callable[[int | None, Path], str] = _no_fault
    """What is wrong with what was left behind, if anything."""


def _called(read: Callable[[Path], object]) -> Callable[[Path, Path], int]:
    def run(path: Path, folder: Path) -> int:
        try:
            read(path)
        except InputError as error:
            print(f"kinflow: {error}", file=sys.stderr)
            return 2
        return 0

    return run


def _reconstruct(*options: str) -> Callable[[Path, Path], int]:
    """`kinflow reconstruct` of the file, or, as options say, of a good photo with the file."""

    def run(path: Path, folder: Path) -> int:
        photo, keypoints = folder / "photo.png", folder / "keypoints.json"
        for place, data in (
            (photo, good_files.photo("png")),
            (keypoints, good_files.keypoints()),
        ):
            if not place.exists():
                place.write_bytes(data)
        names = {"FILE": path, "FOLDER": path.parent, "PHOTO": photo, "KEYPOINTS": keypoints}
        chosen = [str(names.get(option, option)) for option in options]
        out = str(folder / "out")
        return main(["reconstruct", *chosen, "--out", out, "--format", "npz", "json"])

    return run


def _results_fault(code: int | None, folder: Path) -> str:
    """After code 0 there is a readable result; after code 2 of a single photo there is none."""
    results = [p for p in (folder / "out").glob("*") if not p.name.startswith(".")]
    if code == 0 and not results:
        return "exit code 0 and no result"
    if code == 2 and results:
        return f"exit code 2, yet {results[0].name} was written"
    for result in results:
        for name in ("people.npz", "people.json"):
            if not kinflow.load(result / name).people:
                return f"{name} holds nobody"
    return ""


def _photo_kind(kind: str) -> Kind:
    return Kind(
        f"in/photo.{'png' if kind == 'png16' else kind}",
        lambda rng: good_files.photo(kind),
        mutations.mutated_bytes,
        _reconstruct("FILE", "--keypoints", "KEYPOINTS", "--no-parts"),
        _results_fault,
    )


_EXIF_TAGS = (0x0112, 0x0132, 0x010F, 0x011A, 0x0100, 0x8825, 0x9286)
_EXIF_IFD_TAGS = (0xA405, 0x920A, 0x829A, 0x9000, 0xA002)


def _strange_exif(data: bytes, rng: random.Random) -> bytes:
    """The photo with EXIF entries of types that they should not have."""
    values = (b"\x00\x01", b"", "abc", "", (1, 2, 3), 0, 7, 2**31, -1, math.inf, (b"x",), 1.5)
    exif = Image.Exif()
    for tag in rng.sample(_EXIF_IFD_TAGS, 3):
        exif.get_ifd(0x8769)[tag] = rng.choice(values)
    for tag in rng.sample(_EXIF_TAGS, 3):
        exif[tag] = rng.choice(values)
    try:
        photo = good_files.photo_with("jpeg", exif)
    except Exception:  # values that Pillow cannot write at all are not in any file
        return mutations.mutated_bytes(data, rng)
    if rng.random() < 0.5:
        return photo
    end = min(photo.find(b"\xff\xdb"), len(photo))
    damaged = bytearray(photo)
    for _ in range(rng.choice((1, 3, 10))):
        damaged[rng.randrange(20, end)] = rng.randrange(256)
    return bytes(damaged)


def _mutated_image(data: bytes, rng: random.Random) -> bytes:
    """Another size, mode or content, or damaged bytes."""
    if rng.random() < 0.4:
        return mutations.mutated_bytes(data, rng)
    image = Image.open(io.BytesIO(data))
    edit = rng.choice(("full", "empty", "size", "mode", "noise", "huge"))
    if edit in ("full", "empty"):
        image = Image.new("L", image.size, 255 if edit == "full" else 0)
    elif edit == "size":
        image = image.resize((rng.randrange(1, 400), rng.randrange(1, 400)))
    elif edit == "mode":
        image = image.convert("RGB").convert(rng.choice(("1", "L", "P", "RGB", "RGBA", "LA")))
    elif edit == "noise":
        image = Image.frombytes("L", image.size, rng.randbytes(image.size[0] * image.size[1]))
    else:
        image = Image.new(rng.choice(("1", "L", "I;16")), (12000, 12000))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _interpolate(path: Path, folder: Path) -> int:
    return main(["interpolate", str(path), str(path), "--out", f"{folder}/x.png", "--steps", "2"])


def _sample(path: Path, folder: Path) -> int:
    return main(["sample", "--prior", str(path), "--count", "1", "--out", str(folder / "out")])


def _train_gaussian(path: Path, folder: Path) -> int:
    options = ("--family", "gaussian", "--out", str(folder / "run"))
    return main(["train", "prior", "--data", str(path), *options])


def _data_poses(path: Path, folder: Path) -> int:
    out = folder / "poses.safetensors"
    return main(["data", "poses", "--folders", str(path.parent), "--out", str(out)])


def _mutated_text(data: bytes, rng: random.Random) -> bytes:
    """A text file with words exchanged for strange ones, lines lost or doubled, other encodings."""
    if rng.random() < 0.3:
        return mutations.mutated_bytes(data, rng)
    lines = data.decode().splitlines()
    at = rng.randrange(len(lines)) if rng.random() < 0.3 else rng.randrange(min(len(lines), 140))
    if rng.random() < 0.3:
        at = next(i for i, line in enumerate(lines) if line.startswith(rng.choice(("Frame",))))
        at += rng.randrange(3)
    words = lines[at].split() or [""]
    edit = rng.choice(("word", "word", "word", "word", "drop", "double", "swap", "encode"))
    if edit == "word":
        strange = ("0", "-1", "nan", "inf", "1e-300", "1e300", "x", "", "{", "}", "9" * 30, "0,5")
        words[rng.randrange(len(words))] = rng.choice(strange)
        lines[at] = " ".join(words)
    elif edit == "drop":
        del lines[at : at + rng.choice((1, 1, 5))]
    elif edit == "double":
        lines.insert(at, lines[at])
    elif edit == "swap":
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines).encode("utf-16" if edit == "encode" else "utf-8")


_SMALL_FLOW = {"blocks": 1, "hidden": 8, "depth": 1, "batch-size": 16, "max-steps": 4}
TINY_FLOW = [f"--flow.{name}={value}" for name, value in {**_SMALL_FLOW, "eval-every": 2}.items()]


def _train_flow(run: Path, folder: Path) -> int:
    poses = folder / "poses.safetensors"
    poses.write_bytes(good_files.pose_set())
    return main(["train", "prior", "--data", str(poses), "--out", str(run), *TINY_FLOW])


@cache
def _finished_run() -> dict[str, bytes]:
    """The files of a short training run."""
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        run = Path(folder) / "run"
        _train_flow(run, Path(folder))
        return {p.name: p.read_bytes() for p in run.glob("*.safetensors")}


def _continue_training(path: Path, folder: Path) -> int:
    """Go on from the checkpoint in a run's folder."""
    for name, data in _finished_run().items():
        if name != path.name:
            (path.parent / name).write_bytes(data)
    return _train_flow(path.parent, folder)


SMALL_SCENES = ("--count", "1", "--no-images", "--scenes.grid-cells", "32")


def _synth(path: Path, folder: Path) -> int:
    """More scenes for the folder whose settings the file holds."""
    return main(["synth", "--out", str(path.parent), *SMALL_SCENES])


@cache
def _scenes(name: str) -> bytes:
    with TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(io.StringIO()):
            main(["synth", "--out", folder, *SMALL_SCENES])
        return (Path(folder) / name).read_bytes()


def _read_truth(path: Path) -> None:
    from kinflow.synth.files import read_truth

    read_truth(path)


def _load_parts(path: Path) -> None:
    from kinflow.evidence.part_network import load_part_network

    load_part_network(path)


def _read_results(path: Path) -> None:
    from kinflow.datasets.results import read_results

    read_results(path)


def _load_smpl(path: Path) -> None:
    from kinflow.body.smpl import load_smpl

    load_smpl(path)


def _evaluate(protocol: str) -> Callable[[Path, Path], int]:
    """The file as predictions of good truth."""

    def run(path: Path, folder: Path) -> int:
        truth = folder / "truth.npz"
        truth.write_bytes(good_files.person_rows())
        files = ("--truth", str(truth), "--predictions", str(path), "--out", str(folder / "out"))
        return main(["evaluate", "reconstruction", "--protocol", protocol, *files])

    return run


def _evaluation_fault(code: int | None, folder: Path) -> str:
    """After code 2 there is no report."""
    return "exit code 2, yet there is a report" if code == 2 and (folder / "out").exists() else ""


def _table(path: Path, folder: Path) -> int:
    return main(["evaluate", "table", "--results", str(path), "--out", str(folder / "out")])


def _reader_kinds() -> dict[str, Kind]:
    kinds = {
        f"photo_{k}": _photo_kind(k) for k in ("jpeg", "png", "png16", "webp", "tiff", "gif", "bmp")
    }
    kinds["photo_exif"] = Kind(
        "in/photo.jpeg",
        lambda rng: good_files.photo("jpeg"),
        _strange_exif,
        _reconstruct("FILE", "--keypoints", "KEYPOINTS", "--no-parts"),
        _results_fault,
    )
    for tool in good_files.keypoint_files():
        kinds[f"keypoints_{tool}"] = Kind(
            "in/people.json",
            lambda rng, tool=tool: good_files.keypoints(tool),
            mutations.mutated_json,
            _reconstruct("PHOTO", "--keypoints", "FILE", "--no-parts"),
            _results_fault,
        )
    kinds["mask"] = Kind(
        "in/photo.png",
        good_files.mask,
        _mutated_image,
        _reconstruct("PHOTO", "--keypoints", "KEYPOINTS", "--masks", "FOLDER"),
        _results_fault,
    )
    kinds["part_map"] = Kind(
        "in/photo.png",
        good_files.part_map,
        _mutated_image,
        _reconstruct("PHOTO", "--keypoints", "KEYPOINTS", "--parts", "FOLDER"),
        _results_fault,
    )
    for suffix, damage in (("npz", mutations.mutated_npz), ("json", mutations.mutated_json)):
        kinds[f"people_{suffix}"] = Kind(
            f"in/people.{suffix}",
            lambda rng, suffix=suffix: good_files.people(suffix),
            damage,
            _interpolate,
        )
    for name in ("gaussian", "gmm", "vae", "realnvp"):
        kinds[f"prior_{name}"] = Kind(
            "in/prior.safetensors",
            lambda rng, name=name: good_files.prior(name),
            mutations.mutated_safetensors,
            _sample,
        )
    kinds["pose_set"] = Kind(
        "in/poses.safetensors",
        lambda rng: good_files.pose_set(),
        mutations.mutated_safetensors,
        _train_gaussian,
    )
    kinds["bvh"] = Kind("01/clip.bvh", lambda rng: good_files.bvh(), _mutated_text, _data_poses)
    kinds["amass"] = Kind(
        "01/clip_poses.npz", lambda rng: good_files.amass(), mutations.mutated_npz, _data_poses
    )
    kinds["checkpoint"] = Kind(
        "run/checkpoint.safetensors",
        lambda rng: _finished_run()["checkpoint.safetensors"],
        mutations.mutated_safetensors,
        _continue_training,
    )
    kinds["synth_settings"] = Kind(
        "scenes/synth.json", lambda rng: _scenes("synth.json"), mutations.mutated_json, _synth
    )
    kinds["synth_truth"] = Kind(
        "in/000000.npz",
        lambda rng: _scenes("truth/000000.npz"),
        mutations.mutated_npz,
        _called(_read_truth),
    )
    kinds["part_weights"] = Kind(
        "in/parts.safetensors",
        lambda rng: asset_path("evidence/parts.safetensors").read_bytes(),
        mutations.mutated_safetensors,
        _called(_load_parts),
    )
    for protocol in ("3dpw", "coco-keypoints"):
        kinds[f"person_rows_{protocol}"] = Kind(
            "in/rows.npz",
            lambda rng: good_files.person_rows(),
            mutations.mutated_npz,
            _evaluate(protocol),
            _evaluation_fault,
        )
    kinds["evaluation_result"] = Kind(
        "in/result.json",
        lambda rng: good_files.evaluation_result(),
        mutations.mutated_json,
        _table,
        _evaluation_fault,
    )
    for kind in ("npz", "pkl2", "pkl4"):
        kinds[f"smpl_{kind}"] = Kind(
            f"in/body.{kind[:3]}",
            lambda rng, kind=kind: good_files.smpl(kind),
            mutations.mutated_npz if kind == "npz" else mutations.mutated_bytes,
            _called(_load_smpl),
        )
    for kind, suffix in (("npz", "npz"), ("joblib", "pkl"), ("torch", "pt")):
        kinds[f"results_{kind}"] = Kind(
            f"in/results.{suffix}",
            lambda rng, kind=kind: good_files.results(kind),
            mutations.mutated_npz if kind == "npz" else mutations.mutated_bytes,
            _called(_read_results),
        )
    return kinds


def _raises(path: Path, folder: Path) -> int:
    return 1 // 0


def _dies(path: Path, folder: Path) -> int:
    os._exit(3)


def _self_test(run: Callable[[Path, Path], int]) -> Kind:
    return Kind("in/x", lambda rng: b"x", lambda data, rng: data, run)


READERS = _reader_kinds()
SELF_TESTS = {
    "self_test_raises": _self_test(_raises),
    "self_test_dies": _self_test(_dies),
    "self_test_code": _self_test(lambda path, folder: 1),
    "self_test_fine": _self_test(lambda path, folder: 0),
}
"""Kinds with which the harness is tested itself."""
KINDS = READERS | SELF_TESTS
