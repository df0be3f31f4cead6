"""Reconstructions and photos that the export tests share."""

import json
import math
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hand_made_people import SIZE, make_person
from moving_people import walking_clip

from kinflow.results import Gravity, Hypothesis, Person, Reconstruction


@pytest.fixture(scope="session")
def reconstruction() -> Reconstruction:
    """Two people; the second, who has an alternative, stands farther away and to the right."""
    first = make_person(0, [-0.3, 0.1, 3.2], yaw=0.4)
    second = make_person(1, [0.45, 0.05, 4.0], yaw=-0.7)
    other = Hypothesis(
        R_cam_root=first.R_cam_root,
        t_cam_root_m=second.t_cam_root_m,
        pose=first.pose,
        z=first.z,
        shape=first.shape,
        energy=47.5,
    )
    second = replace(second, code="ambiguous", hypotheses=(other,), start_source="gallery")
    part_iou = torch.linspace(0.3, 0.95, 14)
    part_iou[3] = torch.nan  # neither seen nor drawn
    second = replace(second, part_iou=part_iou, silhouette_iou=0.8125)
    # of the first nothing is known
    second = replace(second, shape_std=torch.linspace(0.05, 0.3, 6))
    return Reconstruction.of_frame(first.camera, (first, second), "photos/two people.jpg")


@pytest.fixture(scope="session")
def tilted(reconstruction) -> Reconstruction:
    """The same two people before a camera that looks down by 25 degrees and is not held straight.

    It stands where the level one stood, so that the world is the same.
    """
    x, y, z = math.sin(0.1), -math.cos(0.1) * math.cos(0.44), -math.cos(0.1) * math.sin(0.44)
    gravity = Gravity((x, y, z), 4.0)
    R_tilted_level = gravity.R_world_cam().mT @ torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    people = [turned(person, R_tilted_level) for person in reconstruction.people]
    return Reconstruction.of_frame(reconstruction.camera, people, reconstruction.source, gravity)


def turned(person: Person, R: torch.Tensor) -> Person:
    """Somebody as a camera at the same place sees them that is turned by R."""
    pose = torch.cat([R @ person.pose[:1], person.pose[1:]])
    return replace(
        person,
        pose=pose,
        R_cam_root=pose[0],
        t_cam_root_m=R @ person.t_cam_root_m,
        joints_cam_m=person.joints_cam_m @ R.mT,
    )


@pytest.fixture(scope="session")
def nobody(reconstruction) -> Reconstruction:
    return Reconstruction.of_frame(reconstruction.camera, (), reconstruction.source)


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A grey picture with a ramp, so that a wrong place or channel order shows."""
    ramp = np.linspace(40, 200, SIZE[0]).astype(np.uint8)
    return np.stack([np.tile(ramp, (SIZE[1], 1))] * 3, -1)


@pytest.fixture(scope="session")
def clip() -> Reconstruction:
    """Two people walking, one of them not in all frames."""
    return walking_clip()


@pytest.fixture
def khronos_validator(tmp_path) -> Callable[[bytes], dict]:
    """What the Khronos validator says of a .glb file."""
    folder = os.environ.get("KINFLOW_GLTF_VALIDATOR", "")
    if not folder or shutil.which("node") is None:
        pytest.skip("set KINFLOW_GLTF_VALIDATOR to a folder with npm's gltf-validator")
    script = (
        "require('gltf-validator').validateBytes(new Uint8Array(require('fs')"
        ".readFileSync(process.argv[1]))).then(r => console.log(JSON.stringify(r.issues)))"
    )

    def issues_of(data: bytes) -> dict:
        (tmp_path / "scene.glb").write_bytes(data)
        run = subprocess.run(
            ["node", "-e", script, str(tmp_path / "scene.glb")],
            env={**os.environ, "NODE_PATH": str(Path(folder) / "node_modules")},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(run.stdout)

    return issues_of
