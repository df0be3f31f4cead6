"""Keypoints that other tools wrote, whatever their layout, as evidence of a photo's people.

`read_people` reads a file for one photo, `KeypointSource` a file or folder for many. The page
`docs/keypoints.md` lists the layouts and the rules.
"""

from kinflow.evidence.keypoint_files.reader import (
    KEYPOINT_FORMATS,
    KeypointSource,
    PhotoKeypoints,
    read_people,
)

__all__ = ["KEYPOINT_FORMATS", "KeypointSource", "PhotoKeypoints", "read_people"]
