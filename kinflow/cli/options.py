"""Options of the everyday commands as frozen dataclasses.

Nothing heavy is imported here, so that help is instant. `kinflow.cli.main` knows what works on
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg, subcommand

from kinflow.checks import number, refuse, whole
from kinflow.service.config import Serve

OutputFormat = Literal["npz", "json", "overlay", "glb", "bvh", "viewer"]
ALL_FORMATS: tuple[OutputFormat, ...] = ("npz", "json", "overlay", "glb", "bvh", "viewer")


@dataclass(frozen=True)
class Output:
    """Where results go and what is written."""

    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for the results; each photo or clip gets a folder of its own in it."""
    format: Annotated[tuple[OutputFormat, ...], arg(metavar="NAME [NAME ...]")] = ALL_FORMATS
    """Files to write: any of npz, json, overlay, glb, bvh (of clips), viewer."""
    side_view: FlagCreatePairsOff[bool] = False
    """Add a view turned by 90 degrees to the overlay."""
    show_parts: FlagCreatePairsOff[bool] = False
    """Colour the bodies of the overlay by part, and add the parts that were seen."""
    joint_names: Literal["smpl", "mixamo"] = "smpl"
    """Names of the joints in scene.glb and BVH files."""
    overwrite: FlagCreatePairsOff[bool] = False
    """Make results that are there already anew; files of your own beside them are kept."""

    def __post_init__(self) -> None:
        if not self.format:
            refuse(f"--format needs at least one of {', '.join(ALL_FORMATS)}.")


@dataclass(frozen=True)
class Reconstruct:
    """Find every person in photos and clips and fit a posed, shaped 3D body to each.

    Each photo gets a folder with people.npz, people.json, overlay.png, scene.glb and viewer.html.
    In clips (MP4, MOV, MKV, WebM, AVI, GIF) people are followed from frame to frame; the overlay is
    a video then, the scene is animated, and each person gets a BVH file. Numbered images are a clip
    by a pattern such as frames/%05d.png, or as a folder with --sequence-fps.
    Exit code 0: all photos have results, new or from an earlier run; 2: some could not be used; 1:
    something else failed.
    """

    photos: Annotated[tuple[str, ...], Positional, arg(metavar="PHOTO ...")]
    """Photos, clips, folders of them or quoted patterns such as '*.jpg'."""
    output: Output
    start: Annotated[float, arg(metavar="SECONDS")] = 0.0
    """Of clips: where to begin."""
    end: Annotated[float | None, arg(metavar="SECONDS")] = None
    """Of clips: where to stop."""
    fps: Annotated[float | None, arg(metavar="N")] = None
    """Of clips: look at this many frames a second at most; all of them unless given."""
    sequence_fps: Annotated[float | None, arg(metavar="N")] = None
    """Take a folder for one clip of numbered images, this many a second; patterns have 30."""
    moving_camera: FlagCreatePairsOff[bool] = False
    """Of clips: estimate how the camera turns; it is taken to stand still otherwise."""
    # longer help is given as one line: of a docstring tyro would keep the line breaks
    keypoints: Annotated[
        Path | None,
        arg(
            metavar="FILE|DIR",
            help="Keypoints of your own: JSON of OpenPose, AlphaPose, COCO, MMPose, MediaPipe and "
            "others, or a folder with PHOTO_keypoints.json or PHOTO.json for each photo "
            "(docs/keypoints.md).",
        ),
    ] = None
    keypoints_format: Annotated[
        str,
        arg(
            metavar="NAME",
            help="What --keypoints are, where they are not recognised: openpose, dwpose, "
            "alphapose, coco, mmpose, ultralytics, tfjs, mediapipe or kinflow; or the order of the "
            "points: coco17, h36m17, posetrack17, coco18, mpi15, body25, body25b, body135, coco23, "
            "halpe26, halpe136, wholebody133, blazepose33, mpii16, crowdpose14, aic14 or lsp14.",
        ),
    ] = "auto"
    max_people: Annotated[int | None, arg(metavar="N")] = None
    """At most this many people a photo, the largest first."""
    fov: Annotated[float | None, arg(metavar="DEGREES")] = None
    """Field of view of the longer image side; overrides EXIF."""
    focal_px: Annotated[float | None, arg(metavar="PIXELS")] = None
    """Focal length in pixels; overrides EXIF and --fov."""
    estimate_focal: FlagCreatePairsOff[bool] = False
    """Estimate the focal length together with the bodies; best with several people in view."""
    hint_3d: Annotated[
        FlagCreatePairsOff[bool], arg(help_behavior_hint="(default: it is used)")
    ] = True
    """Do not use the detector's rough 3D landmarks, nor what the predictor makes of them."""
    align_parts: Annotated[
        FlagCreatePairsOff[bool],
        arg(name="parts", help_behavior_hint="(default: parts are used)"),
    ] = True
    """Follow keypoints alone, not the outlines of body parts."""
    parts: Annotated[Path | None, arg(metavar="DIR")] = None
    """Part maps of your own: PHOTO.png of everybody, or PHOTO_0.png, PHOTO_1.png of one each."""
    parts_palette: Annotated[
        str,
        arg(
            metavar="NAME",
            help="What the ids of --parts mean: kinflow, densepose, coco-densepose, bodypix, lip, "
            "cihp, atr or pascal-person-part.",
        ),
    ] = "kinflow"
    masks: Annotated[Path | None, arg(metavar="DIR")] = None
    """Silhouettes of your own, named as for --parts: black or transparent where nobody is."""
    prior: Annotated[str, arg(metavar="NAME|FILE")] = "realnvp"
    """A shipped pose prior by name, or a weight file."""
    predictor: Annotated[str, arg(metavar="NAME|FILE|none")] = "evidence"
    """A shipped predictor by name, or a weight file; 'none' fits without one."""
    fast: FlagCreatePairsOff[bool] = False
    """Take the predictor's word as it is and fit nothing: quicker, less close to the image
    (docs/predictor.md)."""
    sequence_predictor: Annotated[str, arg(metavar="NAME|FILE|none")] = "sequence"
    """With --fast, in clips: a shipped network that makes motion of frames by name, or a weight
    file; 'none' goes frame by frame."""
    body: Annotated[Path | None, arg(metavar="FILE")] = None
    """Fit this body of SMPL, SMPL-H or SMPL-X in place of kinflow's own."""
    betas: Annotated[int, arg(metavar="N")] = 10
    """How many shape coefficients of --body to fit."""
    device: Annotated[str, arg(metavar="NAME")] = "cpu"
    """Where fitting runs: cpu, cuda or mps."""
    on: Literal["here", "ray"] = "here"
    """Who works: this process, or a Ray cluster (docs/scale.md)."""
    workers: Annotated[int | None, arg(metavar="N")] = None
    """With --on ray: processes, each with one core or GPU; as many as there are unless given."""

    def __post_init__(self) -> None:
        whole(self, "workers", at_least=1, or_none=True, flags=True)
        if self.workers is not None and self.on != "ray":
            refuse("--workers goes with --on ray.")
        whole(self, "max_people", at_least=1, or_none=True, flags=True)
        whole(self, "betas", at_least=1, at_most=300, flags=True)
        number(self, "fov", at_least=0.1, below=170, or_none=True, flags=True)
        number(self, "focal_px", above=0, or_none=True, flags=True)
        number(self, "start", at_least=0, flags=True)
        number(self, "end", above=0, or_none=True, flags=True)
        number(self, "fps", above=0, at_most=1000, or_none=True, flags=True)
        number(self, "sequence_fps", above=0, at_most=1000, or_none=True, flags=True)
        if self.end is not None and self.end <= self.start:
            refuse(f"--end ({self.end:g} s) has to be after --start ({self.start:g} s).")


@dataclass(frozen=True)
class Demo:
    """Reconstruct the people of two free photos that come with scikit-image."""

    output: Output = Output(Path("kinflow-demo"))


@dataclass(frozen=True)
class Sample:
    """Draw poses from a pose prior: a contact sheet, samples.png, and meshes, samples.glb."""

    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for the two files."""
    count: Annotated[int, arg(metavar="N")] = 16
    """How many poses, 500 at most."""
    prior: Annotated[str, arg(metavar="NAME|FILE")] = "realnvp"
    """A shipped pose prior by name, or a weight file."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """Another seed gives other poses."""

    def __post_init__(self) -> None:
        # a body takes up to two megabytes of memory while the scene is made
        whole(self, "count", at_least=1, at_most=500, flags=True)
        whole(self, "seed", flags=True)


@dataclass(frozen=True)
class Interpolate:
    """Picture two ways from one pose to another: through a prior's latent, and joint by joint."""

    a: Annotated[str, Positional, arg(metavar="A")]
    """Result of `kinflow reconstruct` whose first person is the start: its people.npz or folder."""
    b: Annotated[str, Positional, arg(metavar="B")]
    """The same for the end."""
    out: Annotated[Path, arg(metavar="PNG")]
    """The picture to write."""
    steps: Annotated[int, arg(metavar="N")] = 7
    """Poses along each path, both ends included."""
    prior: Annotated[str, arg(metavar="NAME|FILE")] = "realnvp"
    """A shipped pose prior by name, or a weight file."""

    def __post_init__(self) -> None:
        whole(self, "steps", at_least=2, at_most=1000, flags=True)


@dataclass(frozen=True)
class Convert:
    """Write results of kinflow reconstruct in another format.

    bvh and glb are what animation programs open, amass is an archive per person as that data set
    has them (z up; the shape is kinflow's own, so there are no betas). smpl, smplh and smplx solve
    for pose, shape and place of a body whose file you have (docs/smpl.md).
    """

    result: Annotated[str, Positional, arg(metavar="RESULT")]
    """Folder of a photo or clip that kinflow reconstruct made, or its people.npz."""
    to: Literal["bvh", "glb", "amass", "smpl", "smplh", "smplx"]
    """What to write: one file for all (glb), or one per person."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for the files."""
    joint_names: Literal["smpl", "mixamo"] = "smpl"
    """Names of the joints in bvh and glb."""
    lock_feet: FlagCreatePairsOff[bool] = False
    """Hold feet where they stand, by inverse kinematics; of bvh and amass."""
    model: Annotated[Path | None, arg(metavar="FILE")] = None
    """Of smpl, smplh and smplx: the file of the body, .npz or .pkl."""
    betas: Annotated[int, arg(metavar="N")] = 10
    """Of smpl, smplh and smplx: how many shape coefficients to solve for."""
    legs: float = 1.0
    """Length of the legs of the skeleton that is to wear the motion, in lengths of the person's:
    1.15 for legs 15 % longer. Feet are held for that skeleton."""
    overwrite: FlagCreatePairsOff[bool] = False
    """Replace files that are there already."""

    def __post_init__(self) -> None:
        whole(self, "betas", at_least=1, at_most=300, flags=True)
        if self.lock_feet and self.to not in ("bvh", "amass"):
            refuse(f"--lock-feet goes with bvh and amass, not with {self.to}.")
        if self.to in ("smpl", "smplh", "smplx") and self.model is None:
            refuse(f"--to {self.to} needs the file of the body: --model FILE.")
        if self.to not in ("smpl", "smplh", "smplx") and self.model is not None:
            refuse(f"--model goes with smpl, smplh and smplx, not with {self.to}.")
        if self.legs != 1 and not self.lock_feet:
            refuse("--legs says for which legs feet are held, and goes with --lock-feet.")


@dataclass(frozen=True)
class Licences:
    """List the licence of every package that kinflow stands on here, and of all weights that ship.

    Exit code 2 if one is neither permissive nor among the exceptions that are stated with a reason,
    if nothing is known of it, or if a weight is not the one that NOTICE and the manifest name.
    """

    extras: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ()
    """Look at these extras only; at all of them, as far as they are installed, unless given."""
    sbom: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write a software bill of materials: CycloneDX 1.6, JSON."""
    quiet: FlagCreatePairsOff[bool] = False
    """Print exceptions and what is refused only."""


@dataclass(frozen=True)
class Report:
    """Gather what a maintainer needs to know, without names of people, machines and folders.

    Versions, system, processor, GPU and settings; of a result folder sizes, codes and numbers, of a
    photo or clip what it is and how far it can be read, but no picture.
    """

    about: Annotated[str | None, Positional, arg(metavar="PATH")] = None
    """A result folder, or a photo or clip that fails."""
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write the report into a file in place of printing it."""


@dataclass(frozen=True)
class Version:
    """Print the version."""


Command = (
    Annotated[Reconstruct, subcommand("reconstruct")]
    | Annotated[Demo, subcommand("demo")]
    | Annotated[Sample, subcommand("sample")]
    | Annotated[Interpolate, subcommand("interpolate")]
    | Annotated[Convert, subcommand("convert")]
    | Annotated[Serve, subcommand("serve")]
    | Annotated[Licences, subcommand("licences")]
    | Annotated[Report, subcommand("report")]
    | Annotated[Version, subcommand("version")]
)
"""The everyday commands."""
