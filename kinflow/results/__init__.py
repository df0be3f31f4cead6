"""What the main job gives: people as posed, shaped bodies in front of a camera, over time.

Fitting and networks produce these values, export writes and reads them.
"""

from kinflow.results.codes import RESULT_SENTENCES, ResultCode
from kinflow.results.frames import CameraTurn, Frame
from kinflow.results.gravity import Floor, Gravity
from kinflow.results.person import Hypothesis, Person
from kinflow.results.reconstruction import CameraMotion, Reconstruction
from kinflow.results.stored import StoredPerson, stored
from kinflow.results.tracks import Track

__all__ = [
    "RESULT_SENTENCES",
    "CameraMotion",
    "CameraTurn",
    "Floor",
    "Frame",
    "Gravity",
    "Hypothesis",
    "Person",
    "Reconstruction",
    "ResultCode",
    "StoredPerson",
    "Track",
    "stored",
]
