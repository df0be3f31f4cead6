"""The protocols that papers report by, each with the code that it follows."""

from __future__ import annotations

from dataclasses import replace

from kinflow.body.parts import PART_NAMES
from kinflow.errors import InputError
from kinflow.evaluation.protocols.joint_sets import H36M17, LSP14, MPI17, SMPL22, SMPL24
from kinflow.evaluation.protocols.protocol import Protocol

_H36M_REGRESSOR = "mesh:h36m"
_FRONTAL = "60457274"
_HIPS = ("left_hip", "right_hip")
_WORLD = (
    "WA-MPJPE mm",
    "W-MPJPE mm",
    "RTE %",
    "jitter 10 m/s³",
    "foot sliding cm/s",
)

_H36M_17 = Protocol(
    name="h36m-p1",
    dataset="h36m",
    split="test",
    subjects=("S9", "S11"),
    selection="all actions, trials and cameras; frames numbered as in the videos, from 0",
    figures=("MPJPE mm", "PA-MPJPE mm", "N-MPJPE mm", "acceleration error m/s²"),
    joint_set="h36m17",
    joints=H36M17,
    truth_joints="mocap:h36m",
    predicted_joints=_H36M_REGRESSOR,
    root=("pelvis",),
    average="actions",
    source="Ionescu et al. 2014; Martinez et al. 2017 (17 joints, every frame, mean of actions)",
)
_H36M_14 = replace(
    _H36M_17,
    name="h36m-p1-14",
    joints=tuple(name for name in H36M17 if name in LSP14),
    every_nth=5,
    average="frames",
    source="Kanazawa et al. 2018; SPIN, eval.py (h36m-p1)",
)
_3DPW = Protocol(
    name="3dpw",
    dataset="3dpw",
    split="test",
    selection="people whose campose_valid is 1; sequenceFiles/test; labels posed by gendered SMPL",
    figures=("PA-MPJPE mm", "MPJPE mm", "PVE mm", "PA-PVE mm", "acceleration error m/s²"),
    joint_set="lsp14",
    joints=LSP14,
    truth_joints=_H36M_REGRESSOR,
    predicted_joints=_H36M_REGRESSOR,
    root=_HIPS,
    source="HMMR, VIBE, WHAM (14 joints regressed from the posed mesh, middle of the hips)",
)
_EMDB = Protocol(
    name="emdb-1",
    dataset="emdb",
    split="emdb1",
    selection="sequences with emdb1 set, frames of good_frames_mask, extrinsics world to camera",
    figures=("PA-MPJPE mm", "MPJPE mm", "PVE mm", "PA-PVE mm", "acceleration error m/s²"),
    joint_set="smpl24",
    joints=SMPL24,
    truth_joints="model:smpl",
    predicted_joints="model:smpl",
    root=_HIPS,
    pa_vertices_by="joints",
    gaps="joined",
    source="EMDB, evaluate.py (Kaufmann et al. 2023)",
)
_COCO = Protocol(
    name="coco-keypoints",
    dataset="coco",
    split="val2017",
    selection="all images, crowds and people without keypoints included",
    figures=("OKS AP %", "OKS AP50 %", "OKS AP75 %", "OKS AR %"),
    matching="oks",
    missing="counted",
    frame="image",
    unit="px",
    source="pycocotools, cocoeval.py (iouType keypoints)",
)

_ALL = (
    _H36M_17,
    _H36M_14,
    replace(
        _H36M_14,
        name="h36m-p2",
        cameras=(_FRONTAL,),
        selection="all actions, the frontal camera only",
        figures=("PA-MPJPE mm", "MPJPE mm"),
        source="Kanazawa et al. 2018; SPIN, datasets/preprocess/h36m.py (protocol 2)",
    ),
    _3DPW,
    replace(
        _3DPW,
        name="3dpw-pelvis",
        joint_set="h36m17",
        joints=tuple(name for name in H36M17 if name in LSP14),
        root=("pelvis",),
        source="SPIN, eval.py (3dpw); 4D-Humans (the same joints, put on the regressed pelvis)",
    ),
    replace(
        _3DPW,
        name="3dpw-24",
        joint_set="smpl24",
        joints=SMPL24,
        truth_joints="model:smpl",
        predicted_joints="model:smpl",
        root=("pelvis",),
        source="3DPW challenge, ROMP (24 kinematic joints)",
    ),
    _EMDB,
    replace(
        _EMDB,
        name="emdb-2",
        split="emdb2",
        selection="sequences with emdb2 set, frames of good_frames_mask, in the world",
        figures=_WORLD,
        frame="world",
        feet=("left_ankle", "right_ankle", "left_foot", "right_foot"),
        source="SLAHMR, WHAM (chunks of 100 frames); feet are joints here, vertices there",
    ),
    Protocol(
        name="mpi-inf-3dhp",
        dataset="mpi-inf-3dhp",
        split="test",
        selection="valid frames of TS1 to TS6, annot3 (millimetres of the real person)",
        figures=("PCK %", "AUC %", "MPJPE mm", "PA-MPJPE mm"),
        joint_set="mpi17",
        joints=MPI17,
        truth_joints="mocap:mpi-inf-3dhp",
        predicted_joints=_H36M_REGRESSOR,
        root=("pelvis",),
        source="Mehta et al. 2017; thresholds 0, 5 ... 150 mm of mpii_compute_3d_pck.m",
    ),
    Protocol(
        name="mocap-single-view",
        dataset="mocap",
        split="test",
        selection="poses of held-out subjects (CMU) or data sets (AMASS), seen by one camera",
        figures=(
            "PA-MPJPE mm",
            "MPJPE mm",
            "N-MPJPE mm",
            "PVE mm",
            "PA-PVE mm",
            "PVE-T mm",
            "PVE-T-SC mm",
        ),
        joint_set="smpl22",
        joints=SMPL22,
        truth_joints="model:kinflow",
        predicted_joints="model:kinflow",
        root=("pelvis",),
        source="kinflow (docs/evaluation.md)",
    ),
    _COCO,
    replace(_COCO, name="coco-keypoints-medium", area_px2=(32.0**2, 96.0**2)),
    replace(_COCO, name="coco-keypoints-large", area_px2=(96.0**2, 1e10)),
    replace(
        _COCO,
        name="coco-parts",
        selection="people with DensePose labels, within their boxes",
        figures=("part IoU %", "silhouette IoU %"),
        matching="box",
        part_names=PART_NAMES[1:],
        source="kinflow (docs/parts.md): DensePose's 14 coarse parts, mean over parts seen",
    ),
    replace(
        _COCO,
        name="silhouettes",
        dataset="silhouettes",
        split="test",
        selection="people with an outline",
        figures=("silhouette IoU %",),
        matching="box",
        source="kinflow (docs/evaluation.md): each person's outline, mean over people",
    ),
)
PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}


def protocol_named(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        InputError: there is none.
    """
    if name not in PROTOCOLS:
        raise InputError(f"There is no protocol '{name}'; there are {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
