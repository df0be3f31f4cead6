"""People of known pose before a known camera, as evidence a detector could have given."""

import math
from dataclasses import dataclass

import pytest
import torch

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.fitting.observations import ObservationConfig
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.fitting.starts import R_CAM_UPRIGHT
from kinflow.geometry import Camera
from kinflow.geometry.rotations import rotvec_to_matrix

OBSERVED = ObservationConfig()


def leaning(world_m: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Landmarks as a detector gives them: turned as a whole, mostly towards the camera."""
    tilt = math.radians(OBSERVED.hint_tilt_std_deg) * torch.randn(
        len(world_m), 2, generator=generator
    )
    lean = torch.tensor([math.radians(OBSERVED.hint_lean_deg), 0.0])
    rotvec = torch.cat([tilt + lean, tilt.new_zeros(len(tilt), 1)], -1)
    return world_m @ rotvec_to_matrix(rotvec).mT


@dataclass(frozen=True)
class Scene:
    """Truth of some people and what is seen of them."""

    evidence: ImageEvidence
    joints_m: torch.Tensor
    t_cam_root_m: torch.Tensor


@pytest.fixture(scope="session")
def camera() -> Camera:
    return Camera.from_fov((1200, 900), 55.0)


@pytest.fixture(scope="session")
def fitter(prior) -> PhotoFitter:
    return PhotoFitter(prior, PhotoFitConfig())


@pytest.fixture(scope="session")
def make_scene(fitter, camera, see):
    """Call with headings in degrees to get people side by side, noise in pixels.

    Their rough 3D keypoints err by 5 cm. With `rough` they err by all that the fitter reckons with,
    and people differ as much as the priors say.
    """

    def make(headings_deg, noise_px=1.0, camera=camera, hidden=(), seed=0, rough=False) -> Scene:
        model = fitter.fitter.model
        generator = torch.Generator().manual_seed(seed)
        count = len(headings_deg)
        yaw = torch.deg2rad(torch.tensor(headings_deg, dtype=torch.float32))
        t = torch.stack([torch.linspace(-1.2, 1.2, count), torch.full((count,), 0.1)], 1)
        if count == 1:
            t = torch.zeros(1, 2)
        t = torch.cat([t, torch.full((count, 1), 4.0)], 1)
        R_heading = rotvec_to_matrix(torch.stack([0 * yaw, yaw, 0 * yaw], -1))
        spread = (1.0, 1.0) if rough else (0.7, 0.5)
        if rough:  # nobody's pose tells exactly what is up
            lean = math.radians(8.0) * torch.randn(count, 3, generator=generator)
            R_heading = rotvec_to_matrix(lean) @ R_heading
        truth = Unknowns(
            R_CAM_UPRIGHT @ R_heading,
            t,
            spread[0] * torch.randn(count, model.prior.latent_dim, generator=generator),
            spread[1] * torch.randn(count, 6, generator=generator),
            torch.zeros(count),
        )
        return see(truth, camera, generator, noise_px, hidden, rough)

    return make


@pytest.fixture(scope="session")
def see(fitter):
    """Call with bodies, a camera and a source of randomness to get what a detector sees."""

    def seen(truth, camera, generator, noise_px=1.0, hidden=(), rough=False) -> Scene:
        count = len(truth.z)
        keypoints = fitter.fitter.model.posed(truth).keypoints_m()[:, : len(BLAZEPOSE33)]
        pixels = camera.project(keypoints)
        pixels = pixels + noise_px * torch.randn(pixels.shape, generator=generator)
        confidence = torch.full((count, len(BLAZEPOSE33), 1), 0.95)
        confidence[:, [BLAZEPOSE33.index(name) for name in hidden]] = 0.0
        hips = [BLAZEPOSE33.index("left_hip"), BLAZEPOSE33.index("right_hip")]
        world = keypoints - keypoints[:, hips].mean(1, keepdim=True)
        errors = torch.randn(world.shape, generator=generator)
        if rough:
            world = leaning(world, generator)
        errors = errors * torch.tensor(OBSERVED.hint_std_m if rough else (0.05, 0.05, 0.05))
        people = tuple(
            PersonEvidence(
                keypoints_px=torch.cat([pixels[i], confidence[i]], -1),
                keypoint_std_px=torch.full((len(BLAZEPOSE33),), 6.0),
                world_m=world[i] + errors[i],
                box_px=torch.cat([pixels[i].amin(0), pixels[i].amax(0)]),
                score=0.9,
            )
            for i in range(count)
        )
        joints = fitter.fitter.joints_m(truth)
        return Scene(ImageEvidence(camera.image_size, people), joints, truth.t_cam_root_m)

    return seen
