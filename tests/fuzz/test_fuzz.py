"""A sample of the fuzz over every reader; `python tests/fuzz/run.py` is the whole of it."""

import pytest
from harness import MAX_BYTES, MAX_SECONDS, Trial, run_trials
from kinds import READERS

INPUTS = 300


@pytest.fixture(scope="module")
def verdicts():
    names = list(READERS)
    trials = [Trial(names[i % len(names)], i // len(names)) for i in range(INPUTS)]
    return list(run_trials(trials, workers=1))  # each makes the good files for itself


def test_damaged_files_are_read_or_refused_with_a_sentence(verdicts):
    faults = [f"{v.trial.kind} {v.trial.number}: {v.fault}" for v in verdicts if v.fault]
    assert not faults, "\n".join(faults)
    assert len(verdicts) == INPUTS


def test_limits_of_time_and_memory(verdicts):
    assert max(v.seconds for v in verdicts) < MAX_SECONDS
    assert max(v.peak_bytes for v in verdicts) < MAX_BYTES


def test_the_damage_is_real(verdicts):
    """Every kind has inputs that are refused; else its reader was never put to the test."""
    refused = {v.trial.kind for v in verdicts if v.code == 2}
    assert refused == set(READERS)


def test_a_fault_would_be_seen(tmp_path):
    """An input whose reader hangs, crashes or raises is told from one that is read."""
    trials = [Trial(f"self_test_{name}", 0) for name in ("raises", "dies", "code", "fine")]
    faults = {v.trial.kind.removeprefix("self_test_"): v.fault for v in run_trials(trials, 1)}
    assert "ZeroDivisionError" in faults["raises"]
    assert "died" in faults["dies"]
    assert "exit code 1" in faults["code"]
    assert faults["fine"] == ""
