"""Fit bodies to keypoints that you detected yourself, with a camera that you calibrated.

The 17 keypoints are COCO's; confidence 0 says that a keypoint was not seen. On the command line the
same is `kinflow reconstruct PHOTO --keypoints FILE --focal-px 900 --out DIR`.

    python examples/02_own_keypoints.py
"""

import json
import tempfile
from pathlib import Path

import kinflow.priors
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.evidence.keypoint_files import read_people
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.geometry.pinhole import Camera

IMAGE_SIZE = (640, 480)
KEYPOINTS = {
    "nose": (322, 92, 0.9),
    "left_eye": (329, 86, 0.9),
    "right_eye": (315, 86, 0.9),
    "left_ear": (337, 91, 0.8),
    "right_ear": (307, 91, 0.8),
    "left_shoulder": (356, 136, 0.9),
    "right_shoulder": (288, 136, 0.9),
    "left_elbow": (392, 176, 0.9),
    "right_elbow": (262, 184, 0.9),
    "left_wrist": (372, 132, 0.8),
    "right_wrist": (254, 232, 0.9),
    "left_hip": (342, 238, 0.9),
    "right_hip": (300, 238, 0.9),
    "left_knee": (346, 316, 0.9),
    "right_knee": (296, 316, 0.9),
    "left_ankle": (348, 392, 0.9),
    "right_ankle": (292, 392, 0.9),
}


def main() -> None:
    numbers = [value for keypoint in KEYPOINTS.values() for value in keypoint]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.json"
        path.write_text(json.dumps([{"keypoints": numbers, "score": 0.9}]))
        evidence = read_people(path, IMAGE_SIZE).evidence
    fitter = PhotoFitter(kinflow.priors.load(), PhotoFitConfig())
    (person,) = fitter.fit(evidence, Camera.centred(IMAGE_SIZE, focal_px=900.0)).people
    print(f"{person.code}; limbs are off by {person.limb_error_px():.1f} px on average")
    for name in ("left_wrist", "right_wrist", "left_ankle"):
        joint = JOINT_INDEX[name]
        x, y, z = person.joints_cam_m[joint].tolist()
        std_mm = 1000 * float(person.joint_std_m[joint])
        print(f"{name} at ({x:.2f}, {y:.2f}, {z:.2f}) m, ± {std_mm:.0f} mm about the pelvis")
    for alternative in person.hypotheses:
        print(f"another explanation, {alternative.energy - sum(person.energy.values()):.1f} nats")


if __name__ == "__main__":
    main()
