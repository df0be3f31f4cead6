"""What the pixels say about people: detections, keypoints, rough 3D landmarks, silhouettes.

`kinflow.evidence.detector.EvidenceDetector` looks at photos,
`kinflow.evidence.keypoint_files` reads detections made elsewhere; both yield the values below. The
networks are imported only with them.
"""

from kinflow.evidence.types import ImageEvidence, PersonEvidence, PersonMask

__all__ = ["ImageEvidence", "PersonEvidence", "PersonMask"]
