"""What other systems found, as one neutral value: parameters of bodies, whichever file they are in.

`read_results` reads a file, `BodyParameters` holds what is in it, `person_rows` gives the rows that
evaluations compare. The page `docs/smpl.md` lists the systems and their fields. Keypoints of other
detectors are read by `kinflow.evidence.keypoint_files`; `detection_rows` gives their rows.
"""

from kinflow.datasets.results.detections import detection_rows
from kinflow.datasets.results.evidence import with_rough_3d
from kinflow.datasets.results.layouts import TOOLS, read_results
from kinflow.datasets.results.parameters import BodyModelName, BodyParameters
from kinflow.datasets.results.rows import person_rows, posed_bodies

__all__ = [
    "TOOLS",
    "BodyModelName",
    "BodyParameters",
    "detection_rows",
    "person_rows",
    "posed_bodies",
    "read_results",
    "with_rough_3d",
]
