"""Checkpoints: a round trip, another run's, a damaged one."""

import pytest
import torch

from kinflow.errors import InputError
from kinflow.files.tensor_files import read_tensors, write_tensors
from kinflow.training.checkpoint import load_checkpoint, save_checkpoint


def network_and_optimizer(seed: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters(), 0.1)
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return network, optimizer


class Stream:
    """Data that are read in order."""

    def __init__(self, position: int) -> None:
        self.position = position

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"position": torch.tensor(self.position)}

    def load_state_dict(self, states: dict[str, torch.Tensor]) -> None:
        self.position = int(states["position"])


def test_a_run_goes_on_where_it_was(tmp_path):
    first, second = network_and_optimizer(0), network_and_optimizer(1)
    path = tmp_path / "checkpoint.safetensors"
    streams = Stream(7), Stream(0)
    parts = [
        {"net": network, "optimizer": optimizer, "stream": stream}
        for (network, optimizer), stream in zip((first, second), streams, strict=True)
    ]
    save_checkpoint(path, parts[0], {"step": 7}, "run")
    assert load_checkpoint(path, parts[1], "run") == {"step": 7}
    assert streams[1].position == 7
    for network, optimizer in (first, second):
        optimizer.zero_grad()
        network(torch.full((1, 3), 2.0)).sum().backward()
        optimizer.step()
    for a, b in zip(first[0].parameters(), second[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_states_that_do_not_fit_are_refused(tmp_path):
    network, optimizer = network_and_optimizer(0)
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"net": network, "optimizer": optimizer}, {"step": 1}, "run")
    texts, good = read_tensors(path, what="a checkpoint")
    slot = "optimizer.0.exp_avg"
    bad = {
        "'weight' is missing": {k: v for k, v in good.items() if k != "net.weight"},
        "'weight' has shape": {**good, "net.weight": good["net.weight"].mT},
        "not complete": {k: v for k, v in good.items() if k != slot},
        "another shape": {**good, slot: good[slot].mT},
        "belongs to no weight": {**good, "optimizer.7.exp_avg": good[slot].clone()},
        "not finite": {**good, slot: good[slot] * torch.nan},
    }
    for sentence, tensors in bad.items():
        write_tensors(path, tensors, texts)
        with pytest.raises(InputError, match=f"{sentence}.*; delete it to begin again") as caught:
            load_checkpoint(path, {"net": network, "optimizer": optimizer}, "run")
        assert str(path) in str(caught.value)
    for progress in ("", "[]", "{"):
        write_tensors(path, good, {**texts, "progress": progress})
        with pytest.raises(InputError, match="delete it to begin again"):
            load_checkpoint(path, {"net": network, "optimizer": optimizer}, "run")


def test_another_run_and_a_damaged_file_are_refused(tmp_path):
    network, optimizer = network_and_optimizer(0)
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"net": network, "optimizer": optimizer}, {}, "run")
    with pytest.raises(InputError, match="other settings or other data; choose another folder"):
        load_checkpoint(path, {"net": network, "optimizer": optimizer}, "another run")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="not a readable checkpoint.*; delete it to begin again"):
        load_checkpoint(path, {"net": network, "optimizer": optimizer}, "run")
