"""Photos and clips into result folders: each on its own, so that a bad one never stops the rest.

What is there already from an earlier run is left alone. Several processes, or threads, may share an
output folder: each result folder is claimed before the work on its photo, and whoever finds one
claimed comes back to it at the end.

    pipeline = Pipeline(PipelineConfig())
    for event in pipeline.run(find_photos(("holiday",)), Path("results")):
        match event:
            case Outcome(problem=""):
                print(event.photo, event.folder)
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from kinflow.errors import AssetError, InputError
from kinflow.evidence.image import read_photo
from kinflow.evidence.image_sequences import is_sequence, pictures_of
from kinflow.evidence.video_files import MAX_FILE_BYTES as CLIP_BYTES
from kinflow.export.results import (
    Origin,
    check_destination,
    files_sha256,
    inputs_sha256,
    is_made,
    made_after,
    photo_sha256,
    reach_s,
)
from kinflow.export.writer import write_all
from kinflow.files.destinations import check_folder_destination
from kinflow.files.folders import Claim, kept_of, remove_litter
from kinflow.files.ledger import Ledger
from kinflow.files.names import printable
from kinflow.fitting.plausibility import what_cannot_be_right
from kinflow.pipeline.clip_memory import ClipMemory
from kinflow.pipeline.clip_results import ClipResults, certain_files
from kinflow.pipeline.clip_work import StoppedEarly, worked_on
from kinflow.pipeline.clips import ClipRun
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Begun, Event, Outcome, Progress, PutOff
from kinflow.pipeline.own_evidence import OwnEvidence, OwnEvidenceConfig
from kinflow.pipeline.reconstructor import Reconstructor
from kinflow.pipeline.sources import is_clip_or_sequence, result_folders
from kinflow.predictors.predictor import SHIPPED as SHIPPED_PREDICTORS
from kinflow.predictors.sequence_predictor import SHIPPED as SHIPPED_SEQUENCES
from kinflow.priors.storage import SHIPPED
from kinflow.results import Reconstruction

_ASKING_S = 0.25
"""How often `stop` is asked while somebody else's work is waited for."""


Job: TypeAlias = tuple[Path, Path]
"""A photo or clip, and the folder of its results."""


def never() -> bool:
    """Go on."""
    return False


class Pipeline:
    """Reconstructs photos and writes a result folder for each.

    Runs may go on at the same time in several threads; they share the models.

    Args:
        config: options.
        reconstructor: models that are loaded already, of the same options.

    Raises:
        InputError: the device is not there, or the reconstructor has other options.
    """

    def __init__(
        self, config: PipelineConfig | None = None, reconstructor: Reconstructor | None = None
    ) -> None:
        self.config = PipelineConfig() if config is None else config
        if not isinstance(self.config, PipelineConfig):
            raise InputError(f"config has to be a PipelineConfig, not a {type(config).__name__}.")
        self.reconstructor = reconstructor or Reconstructor(self.config.reconstructor)
        if self.reconstructor.config != self.config.reconstructor:
            raise InputError("The reconstructor has other options than the pipeline.")

    def run(
        self,
        photos: Sequence[str | os.PathLike],
        out: str | os.PathLike,
        stop: Callable[[], bool] = never,
    ) -> Generator[Event, None, None]:
        """Work on photos and clips while the events are consumed; close them to end early.

        What is done of a clip when the run ends early, by `stop`, by closing the events or by
        Ctrl-C, is written, and its folder says how far it goes.

        Args:
            photos: files; those that cannot be read become outcomes with a problem. A folder, or a
                pattern such as `frames/%05d.png`, is one clip: a sequence of images.
            out: the folder in which each photo gets a folder of its own (`result_folders`).
            stop: asked before each photo, after each frame of a clip and while others are waited
                for; True ends the events. It may also raise, which ends the run with that error; so
                it is asked once more when a photo fails with an error that may be somebody's answer
                to a signal.

        Raises:
            InputError: no photo can be worked on with these options.
            AssetError: a file of kinflow itself is missing or damaged; while events are consumed,
                too.
        """
        task, jobs = Task.of(self.config, photos, out)
        _ = self.reconstructor.fitter  # a bad prior is no fault of any photo
        return task.work(self.reconstructor, stop).events(jobs, Path(out))


@dataclass(frozen=True)
class Task:
    """What the work on every photo of a run shares; it travels to wherever that is done."""

    config: PipelineConfig
    own: OwnEvidence
    clips: frozenset[Path]
    began_ns: int

    @staticmethod
    def of(
        config: PipelineConfig, photos: Sequence[str | os.PathLike], out: str | os.PathLike
    ) -> tuple[Task, list[Job]]:
        """The task of these photos, and each of them with its folder in `out`.

        Raises:
            InputError: no photo can be worked on with these options.
        """
        began_ns = time.time_ns()
        paths, out = [Path(photo) for photo in photos], Path(out)
        clips = frozenset(path for path in paths if is_clip_or_sequence(path))
        jobs = list(zip(paths, result_folders(paths, out), strict=True))
        if config.export.overwrite or not all(folder.is_dir() for _, folder in jobs):
            check_folder_destination(out)  # results that are there may be on a read-only disk
        stills = [path for path in paths if path not in clips]
        own_config = config.own if stills else OwnEvidenceConfig()
        own = OwnEvidence.of(own_config, stills, config.reconstructor.max_people)
        return Task(config, own, clips, began_ns), jobs

    def work(self, reconstructor: Reconstructor, stop: Callable[[], bool] = never) -> Work:
        """The work itself, with models of the same options."""
        return Work(self.config, reconstructor, self.own, self.clips, self.began_ns, stop)


@dataclass(frozen=True)
class _Ended:
    """The end of the work on one photo or clip."""

    outcome: Outcome
    interrupt: KeyboardInterrupt | None = None
    """What ended it early, to go on with once the outcome is told."""


@dataclass(frozen=True)
class Work:
    """The work on photos and clips, one after another."""

    config: PipelineConfig
    reconstructor: Reconstructor
    own: OwnEvidence
    clips: frozenset[Path]
    began_ns: int
    stop: Callable[[], bool]

    def events(self, jobs: Sequence[Job], out: Path) -> Generator[Event, None, None]:
        """Work on all photos; those that somebody else works on come last."""
        later = []
        with tidied(out):
            for photo, folder in jobs:
                if self.stop():
                    return
                if (yield from self.told(photo, folder)):
                    later.append((photo, folder))
            for photo, folder in later:
                if self.stop():
                    return
                yield from self.told(photo, folder, self.config.patience_s)

    def told(
        self, photo: Path, folder: Path, patience_s: float | None = None
    ) -> Generator[Event, None, bool]:
        """Work on one photo or clip, from its `Begun` to what ends that.

        Args:
            photo: the photo or clip.
            folder: of its results.
            patience_s: how long to wait for somebody else who works on it, after whom it is left
                out; None to put it off at once.

        Returns:
            Whether it was put off.
        """
        yield Begun(photo, folder)
        begin = time.perf_counter()
        ended = yield from self._work(photo, folder, patience_s or 0.0)
        if ended is None and (patience_s is None or self.stop()):
            yield PutOff(photo, folder)
            return True
        if ended is None:
            ended = _Ended(_left_out(photo, folder, time.perf_counter() - begin))
        yield ended.outcome
        if ended.interrupt is not None:
            raise ended.interrupt
        return False

    def _work(
        self, path: Path, folder: Path, patience_s: float = 0.0
    ) -> Generator[Progress, None, _Ended | None]:
        """Work on one photo; what is wrong with it becomes part of the outcome.

        None when somebody else has been working on it for longer than `patience_s`.
        """
        begin = time.perf_counter()
        notes: list[str] = []
        interrupt: KeyboardInterrupt | None = None
        files = self._files_of(path)
        try:
            origin = self._origin(path)
            if self._is_done(folder, origin, files):
                _forget(folder)
                return _Ended(self._already_there(path, folder, begin))
            check_destination(folder, files, self._may_replace(folder))
            claim = self._claim(folder, patience_s)
            if claim is None:
                return None
            with claim:
                # somebody else may have finished it between the two lines
                if self._is_done(folder, origin, files):
                    return _Ended(self._already_there(path, folder, begin))
                if path in self.clips:
                    result, interrupt = yield from self._clip(path, folder, origin, claim, notes)
                else:
                    result = self._photo(path, folder, origin, claim, notes)
        except InputError as error:
            outcome = Outcome(path, folder, 0.0, problem=str(error), options=error.options)
            interrupt = error.interrupt if isinstance(error, StoppedEarly) else None
        except AssetError:
            raise
        except Exception as error:  # a defect met by one photo is no reason to leave out the others
            self.stop()  # which raises if the error is what foreign code made of a signal
            problem = f"{path} failed with {type(error).__name__}: {error}"
            outcome = Outcome(path, folder, 0.0, problem=problem, unexpected=True)
        else:
            outcome = Outcome(path, folder, 0.0, result)
        seconds = time.perf_counter() - begin
        return _Ended(replace(outcome, seconds=seconds, notes=tuple(notes)), interrupt)

    def _files_of(self, path: Path) -> tuple[str, ...]:
        """Names of what is written of a photo or clip, as far as they are known before."""
        if path in self.clips:
            return certain_files(self.config.clip_export)
        return self.config.export.files

    def _claim(self, folder: Path, patience_s: float) -> Claim | None:
        deadline = time.monotonic() + patience_s
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            claim = Claim.take(folder, min(left_s, _ASKING_S))
            if claim is not None or left_s == 0 or self.stop():
                return claim

    def _origin(self, path: Path) -> Origin:
        """What the results of a photo are made from, as it is now."""
        is_clip = path in self.clips
        if is_clip and is_sequence(path):
            photo = files_sha256(pictures_of(path))
        else:
            photo = photo_sha256(path, CLIP_BYTES) if is_clip else photo_sha256(path)
        models = self.config.reconstructor
        # what ships changes with kinflow only; a weight file may be trained on
        named = (
            (models.prior, SHIPPED),
            (models.predictor, SHIPPED_PREDICTORS),
            (models.sequence_predictor, SHIPPED_SEQUENCES),
            (models.body, ()),
        )
        weights = [Path(name) for name, shipped in named if name and name not in shipped]
        own = () if is_clip else self.own.files_of(path)
        inputs = inputs_sha256((*own, *weights))
        return Origin(printable(path), photo, self.config.settings(), inputs)

    def _photo(
        self, path: Path, folder: Path, origin: Origin, claim: Claim, notes: list[str]
    ) -> Reconstruction:
        """Reconstruct one photo and write its folder; `notes` grows by what one should know."""
        photo = read_photo(path)
        notes += [f"{path.name}: {note}" for note in photo.notes]
        evidence, said = self.own.of_photo(photo, path, self.reconstructor)
        notes += said
        result = replace(self.reconstructor(photo, evidence=evidence), source=origin.photo)
        found, asked = result.only_frame.camera, self.reconstructor.config.fit.estimate_focal
        if not asked and found != self.reconstructor.camera(photo):
            notes.append(
                f"{path.name}: the field of view is {found.fov_deg:.0f} degrees by the floor that "
                "its people share, as nothing names the lens; give another one if you know better."
            )
        for person in result.people:
            if absurd := what_cannot_be_right(person):
                notes.append(
                    f"{path.name}: person {person.person} {absurd}, which cannot be right."
                )
        seen = [person.parts for person in evidence.people if person.parts is not None]
        write_all(result, photo.rgb, folder, self.config.export, seen, origin, claim)
        return result

    def _clip(
        self, path: Path, folder: Path, origin: Origin, claim: Claim, notes: list[str]
    ) -> Generator[Progress, None, tuple[Reconstruction, KeyboardInterrupt | None]]:
        """Reconstruct one clip and write its folder; `notes` grows by what one should know.

        Whoever interrupts it gets what is done until then.
        """
        if self.config.own != OwnEvidenceConfig():
            raise InputError(
                f"{path} is a video; keypoints, part maps and silhouettes of your own are for "
                "photos.",
                {"keypoints": "keypoints", "part maps": "part_maps", "silhouettes": "masks"},
            )
        models = self.config.reconstructor
        body = None if models.body is None else (Path(models.body), models.betas)
        memory = ClipMemory(claim, origin, body)
        run = ClipRun(path, self.reconstructor, self.config.clips, memory)
        export = replace(self.config.clip_export, overwrite=self._may_replace(folder))
        results = ClipResults(folder, export, origin, claim, self.config.clips.range)
        return (yield from worked_on(path, run, results, memory, self.stop, notes))

    def _is_done(self, folder: Path, origin: Origin, files: tuple[str, ...]) -> bool:
        """Whether the results are there; those to be overwritten only count if this run's own time
        has seen them made, by somebody else with the same task."""
        if not self.config.export.overwrite:
            return is_made(folder, files, origin)
        with contextlib.suppress(InputError):
            made = made_after(folder, self.began_ns)
            return made and is_made(folder, files, origin)
        return False

    def _may_replace(self, folder: Path) -> bool:
        """Whether results that are there may be replaced: where that was asked for, or where they
        are of a clip that was stopped."""
        reach = reach_s(folder)
        return self.config.export.overwrite or (reach is not None and reach < math.inf)

    def _already_there(self, path: Path, folder: Path, begin: float) -> Outcome:
        meanwhile = (f"{path.name}: another kinflow made it meanwhile.",)
        notes = meanwhile if made_after(folder, self.began_ns) else ()
        seconds = time.perf_counter() - begin
        return Outcome(path, folder, seconds, notes=notes, already=True)


def _forget(folder: Path) -> None:
    """Remove what somebody kept who was killed when the results were there."""
    if kept_of(folder).exists() and (claim := Claim.take(folder)) is not None:
        with claim:
            Ledger(claim.kept, {}).forget()


def _left_out(photo: Path, folder: Path, seconds: float) -> Outcome:
    problem = (
        f"{photo} is left out because another kinflow still works on '{folder}'; run this again "
        "when that is done."
    )
    return Outcome(photo, folder, seconds, problem=problem)


@contextlib.contextmanager
def tidied(out: Path) -> Iterator[None]:
    """The output folder is tidy before and after, even if a signal interrupted a tidying.

    Folders that had to be made for results are removed if there are none in the end.
    """
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    remove_litter(out)
    try:
        yield
    finally:
        remove_litter(out)
        with contextlib.suppress(OSError):
            for folder in missing:
                folder.rmdir()
