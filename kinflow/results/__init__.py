"""What the main job gives: people as posed, shaped bodies in front of a camera.

Fitting and networks produce these values, export writes and reads them.
"""

from kinflow.results.codes import RESULT_SENTENCES, ResultCode
from kinflow.results.person import Hypothesis, Person
from kinflow.results.reconstruction import Reconstruction

__all__ = ["RESULT_SENTENCES", "Hypothesis", "Person", "Reconstruction", "ResultCode"]
