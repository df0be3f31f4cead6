"""Who is held out, and that no two people share a name."""

from pathlib import Path

import pytest

from kinflow.datasets.mocap_splits import AMASS_SPLITS, CMU_SPLITS, MocapSplits, subject_of
from kinflow.errors import InputError


def test_subjects_of_cmu_have_one_name_in_all_their_files():
    files = ("cmu/05/05_01.bvh", "subjects/05/05_01.amc", "AMASS/CMU/05/05_01_poses.npz")
    assert {subject_of(Path(file)) for file in files} == {"05"}
    assert CMU_SPLITS.of("05") == "test"


def test_other_subjects_of_amass_cannot_be_taken_for_those_of_cmu():
    subject = subject_of(Path("AMASS/KIT/05/walk_poses.npz"))
    assert subject == "KIT/05" != subject_of(Path("AMASS/EKUT/05/walk_poses.npz"))
    assert CMU_SPLITS.of(subject) == AMASS_SPLITS.of(subject) == "train"


def test_whole_parts_are_held_out_by_a_star():
    assert AMASS_SPLITS.of("HumanEva/S1") == "validation"
    assert AMASS_SPLITS.of("SSM_synced/20160330_03333") == "test"
    assert AMASS_SPLITS.of("HumanEvaX/S1") == "train"


def test_nobody_is_held_out_twice():
    with pytest.raises(InputError, match="02 cannot be for validation and for the test"):
        MocapSplits(validation=("02",), test=("02",))
