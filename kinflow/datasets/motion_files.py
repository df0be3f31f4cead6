"""Motion files of several kinds, found in folders and brought to the 22-joint skeleton.

Two passes over the BVH files: the first learns what clips of one skeleton share (CMU's elbow axes,
another skeleton's calibration), the second retargets clip by clip. What fits into a fixed amount of
memory is kept between the two, the rest is read again. A file that cannot be used never stops the
others: it comes out with the reason.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kinflow.datasets.acclaim import read_acclaim
from kinflow.datasets.amass import holds_motion, read_amass
from kinflow.datasets.bvh import BvhClip, read_bvh
from kinflow.datasets.calibration import Calibration, calibrate, retarget
from kinflow.datasets.retarget import (
    ElbowHinges,
    RetargetedMotion,
    is_cmu,
    measure_elbow_hinges,
    retarget_cmu,
)
from kinflow.errors import InputError
from kinflow.files.reading import readable

MAX_FRAMES = 108_000
"""One hour at 30 frames a second; longer clips have to be cut."""

_MAX_HINGE_DISAGREEMENT_DEG = 6.0
_POOLED_FRAMES = 4096
_KEPT_BYTES = 256 << 20
_SUFFIXES = (".bvh", ".amc", ".npz")


@dataclass(frozen=True)
class SkippedClip:
    """A motion file that was not used.

    Attributes:
        path: the file.
        reason: why, in a sentence that does not repeat the file's name.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class MotionFiles:
    """Motion files by kind, each list in the order in which they are read; AMC counts as BVH."""

    bvh: tuple[Path, ...]
    amass: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.bvh) + len(self.amass)


def find_motions(places: Iterable[Path]) -> MotionFiles:
    """The motion files in some folders, nested at will, or named one by one.

    Files that are found twice count once. Shapes without motion, which AMASS keeps beside the
    motions, and archives of something else are passed over.

    Raises:
        InputError: a place does not exist, or there are no motion files.
    """
    places = list(places)
    if not places:
        raise InputError("No folder was named; give folders with .bvh or AMASS .npz files.")
    bvh: dict[Path, Path] = {}
    amass: dict[Path, Path] = {}
    for place in places:
        for path in _files_in(place):
            suffix = path.suffix.lower()
            if suffix in (".bvh", ".amc"):
                bvh.setdefault(path.resolve(), path)
            elif suffix == ".npz" and (path == place or holds_motion(path)):
                amass.setdefault(path.resolve(), path)
            elif path == place:
                raise InputError(f"'{path}' is no motion file (.bvh, .amc, or AMASS's .npz).")
    if not bvh and not amass:
        names = ", ".join(f"'{place}'" for place in places)
        raise InputError(f"There are no .bvh, .amc or AMASS .npz files with motion in {names}.")
    return MotionFiles(tuple(bvh.values()), tuple(amass.values()))


def _files_in(place: Path) -> list[Path]:
    with readable(place):
        if place.is_dir():
            # macOS leaves "._name" beside "name" on disks of other systems
            files = (path for path in place.rglob("*") if not path.name.startswith("._"))
            return sorted(p for p in files if p.suffix.lower() in _SUFFIXES and p.is_file())
        exists = place.exists()
    if not exists:
        raise InputError(f"'{place}' does not exist; check the path.")
    return [place]


def read_motions(
    files: MotionFiles, rate_hz: float
) -> Iterator[tuple[Path, RetargetedMotion | SkippedClip]]:
    """The motions one by one, thinned to a frame rate; a file that cannot be used is skipped.

    Args:
        files: what to read.
        rate_hz: frames are left out to come near this rate; slower clips stay as they are.
    """
    learned = _Learned.from_clips(files.bvh)
    for path in files.bvh:
        yield path, _attempt(path, lambda path=path: learned.retargeted(path, rate_hz))
    for path in files.amass:
        yield path, _attempt(path, lambda path=path: read_amass(path, rate_hz))


def _attempt(path: Path, read: Callable[[], RetargetedMotion]) -> RetargetedMotion | SkippedClip:
    try:
        motion = read()
        if len(motion.rotations) > MAX_FRAMES:
            raise InputError(f"it is longer than {MAX_FRAMES} frames; cut it into several files")
        return motion
    except InputError as error:
        return SkippedClip(path, _without_path(str(error), path))


def _without_path(sentence: str, path: Path) -> str:
    """A sentence that begins with a file's name, for a list that has the name already."""
    rest = sentence.removeprefix(f"'{path}'")
    return rest.removeprefix(": ") if rest.startswith(":") or rest == sentence else f"it{rest}"


def _stride(frame_time_s: float, rate_hz: float) -> int:
    """Stride that brings a clip to a rate; clips below that rate are used as they are."""
    return max(1, round(1.0 / (frame_time_s * rate_hz)))


@dataclass
class _Learned:
    """What the clips of one skeleton share."""

    failures: dict[Path, str] = field(default_factory=dict)
    kept: dict[Path, BvhClip] = field(default_factory=dict)
    room_bytes: int = _KEPT_BYTES
    hinges: dict[Path, ElbowHinges] = field(default_factory=dict)
    shared_hinges: ElbowHinges | None = None
    pools: dict[tuple, BvhClip] = field(default_factory=dict)
    calibrations: dict[tuple, Calibration | InputError] = field(default_factory=dict)

    @staticmethod
    def from_clips(paths: Iterable[Path]) -> "_Learned":
        learned = _Learned()
        for path in paths:
            try:
                clip = _read_clip(path)
            except InputError as error:
                learned.failures[path] = str(error)
                continue
            learned.keep(path, clip)
            if is_cmu(clip):
                learned.hinges[path] = measure_elbow_hinges(clip)
            else:
                learned.pool(clip)
        learned.shared_hinges = reference_hinges(learned.hinges.values())
        return learned

    def keep(self, path: Path, clip: BvhClip) -> None:
        """Keep a clip for the second pass while there is room."""
        if clip.motion.nbytes <= self.room_bytes:
            self.room_bytes -= clip.motion.nbytes
            self.kept[path] = clip

    def pool(self, clip: BvhClip) -> None:
        """Add some frames of a clip to those from which its skeleton is calibrated."""
        key = _signature(clip)
        pooled = self.pools.get(key)
        room = _POOLED_FRAMES - (len(pooled) if pooled else 0)
        if room > 0:
            step = max(1, -(-len(clip) // min(room, _POOLED_FRAMES // 8)))
            motion = clip.motion[::step]
            motion = np.concatenate([pooled.motion, motion]) if pooled else motion.copy()
            self.pools[key] = replace(clip, motion=motion)

    def retargeted(self, path: Path, rate_hz: float) -> RetargetedMotion:
        if path in self.failures:
            raise InputError(self.failures[path])
        clip = self.kept.pop(path, None) or _read_clip(path)
        clip = clip.frames(slice(None, None, _stride(clip.frame_time_s, rate_hz)))
        if len(clip) > MAX_FRAMES:
            raise InputError(f"it is longer than {MAX_FRAMES} frames; cut it into several files")
        if path in self.hinges:
            return self._retargeted_cmu(path, clip)
        return retarget(clip, self._calibration(clip))

    def _retargeted_cmu(self, path: Path, clip: BvhClip) -> RetargetedMotion:
        own, shared = self.hinges[path], self.shared_hinges
        if shared is None or own.concentration <= 0.9:
            raise InputError("its elbows hardly bend, so how its arms are twisted cannot be told")
        if not _agree(own, shared):
            raise InputError("its elbows bend about other axes than those of the other CMU clips")
        return retarget_cmu(clip, shared)

    def _calibration(self, clip: BvhClip) -> Calibration:
        key = _signature(clip)
        if key not in self.calibrations:
            try:
                self.calibrations[key] = calibrate(self.pools[key])
            except InputError as error:
                self.calibrations[key] = error
        found = self.calibrations[key]
        if isinstance(found, InputError):
            raise InputError(str(found))
        return found


def _read_clip(path: Path) -> BvhClip:
    return read_acclaim(path) if path.suffix.lower() == ".amc" else read_bvh(path)


def _signature(clip: BvhClip) -> tuple:
    """Equal for clips of one skeleton: names, tree, channels and offsets, but not the root's."""
    offsets = clip.offsets[1:] / max(float(np.abs(clip.offsets[1:]).max(initial=0.0)), 1e-9)
    return clip.joint_names, clip.parents, clip.channels, np.round(offsets, 3).tobytes()


def reference_hinges(hinges: Iterable[ElbowHinges]) -> ElbowHinges | None:
    """The elbow axes that CMU clips share, the median; None if no clip bends both elbows."""
    usable = [h for h in hinges if h.concentration > 0.99]
    if not usable:
        return None
    left, right = (
        np.median([getattr(h, side) for h in usable], axis=0) for side in ("left", "right")
    )
    return ElbowHinges(left / np.linalg.norm(left), right / np.linalg.norm(right), 1.0)


def _agree(a: ElbowHinges, b: ElbowHinges) -> bool:
    disagreement_deg = max(_axis_angle_deg(a.left, b.left), _axis_angle_deg(a.right, b.right))
    return disagreement_deg < _MAX_HINGE_DISAGREEMENT_DEG


def _axis_angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1.0, 1.0))))
