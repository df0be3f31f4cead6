"""`kinflow data check` counts what is there and names what is not."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from kinflow.cli.main import main
from kinflow.datasets.readers.check import Report, check_unit
from kinflow.datasets.readers.reader import DatasetInfo, Reader, Unit, samples
from kinflow.datasets.readers.records import raised
from kinflow.datasets.readers.registry import READERS, reader_of
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import CalibratedCamera, Joints3D, Keypoints2D, Picture
from kinflow.errors import InputError


class Made(Reader):
    """Of `bad` a record cannot be right and the end is lost, in `off` left is right."""

    info = DatasetInfo("made", "Made", "", "", "", "", splits=("train",))

    def units(self, root):
        return [Unit(root / name, name, "train") for name in ("good", "bad", "off")], []

    def read(self, root, unit, on_fault=raised) -> Iterator[Sample]:
        view = CalibratedCamera((500.0, 500.0), (100.0, 100.0), (200, 200))
        names = ("left_hip", "right_hip")
        cam = np.array([[-0.2, 0, 2], [0.2, 0, 2]], np.float32)
        px = view.project(cam)[:: -1 if unit.key == "off" else 1].copy()
        yield Sample(
            "made",
            f"{unit.key}/0",
            picture=Picture(root / f"{unit.key}.png"),
            keypoints=Keypoints2D(names, px, np.ones(2, np.float32)),
            joints=Joints3D(names, cam, np.ones(2, bool), "camera", "made"),
            camera=view,
        )
        if unit.key == "bad":
            for number in range(9):
                on_fault(InputError(f"Row {number} of 'bad' is odd."))
            raise InputError("'bad' is cut off.")


def test_a_report_counts_labels_and_names_faults(tmp_path):
    Image.new("RGB", (200, 200)).save(tmp_path / "good.png")
    report = Report()
    for unit in Made().units(tmp_path)[0]:
        check_unit(Made(), tmp_path, unit, report)

    text = "\n".join(report.lines())
    assert report.samples == {"train": 3} and report.labels["keypoints"] == 3
    assert report.units == 2 and report.left_out == 9 and not report.good
    assert "malformed: Row 4 of 'bad' is odd." in text and "Row 5" not in text
    assert "malformed: 'bad': 4 more records cannot be right." in text
    assert "malformed: 'bad' is cut off." in text
    assert "malformed: 'off': labels in space lie 100 px" in text
    assert "off.png', not there" in text and "good.png" not in text


def test_samples_go_on_past_a_unit_that_is_broken(tmp_path):
    faults = []
    keys = [s.key for s in samples(Made(), tmp_path, on_fault=lambda u, e: faults.append(u.key))]

    assert keys == ["good/0", "bad/0", "off/0"] and faults == ["bad"] * 10
    with pytest.raises(InputError, match="Row 0 of 'bad' is odd"):
        list(samples(Made(), tmp_path))
    with pytest.raises(InputError, match="no split 'dev'; there are: train"):
        list(samples(Made(), tmp_path, "dev"))


def test_a_folder_of_images_is_checked_from_the_command_line(tmp_path, capsys):
    (tmp_path / "deep").mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "deep" / "a.png")
    (tmp_path / "notes.txt").write_text("x")

    assert main(["data", "check", "folder", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "1 samples in 1 label files" in said and "1 other files are passed over" in said


@pytest.mark.parametrize("name", READERS)
def test_every_reader_refuses_a_folder_of_something_else(name, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("x")

    assert reader_of(name).info.name == name
    assert main(["data", "check", name, str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_unknown_names_and_no_folders_get_a_sentence(tmp_path, capsys):
    assert main(["data", "check", "nothing", str(tmp_path)]) == 2
    assert "there are: " in capsys.readouterr().err
    assert main(["data", "check", "folder", str(tmp_path / "none")]) == 2
    assert "is no folder" in capsys.readouterr().err
