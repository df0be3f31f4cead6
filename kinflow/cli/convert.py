"""`kinflow convert`: results that were written before, in other formats."""

from __future__ import annotations

import os
from pathlib import Path

from kinflow.assets import file_sha256
from kinflow.body.smpl import FAMILY_NAMES
from kinflow.body.users_body import UsersBody
from kinflow.cli.options import Convert
from kinflow.cli.output import say
from kinflow.errors import InputError
from kinflow.export.amass import amass_bytes, amass_name
from kinflow.export.bvh import bvh_bytes, bvh_name
from kinflow.export.foot_lock import contacts, lock_feet
from kinflow.export.gltf import scene_glb
from kinflow.export.motion import Motion, motions_of, period_of
from kinflow.export.people_files import load
from kinflow.export.smpl import SmplPerson, smpl_bytes, smpl_name
from kinflow.export.stage import Stage
from kinflow.files.atomic import explained, write_bytes
from kinflow.files.destinations import check_folder_destination
from kinflow.files.reading import check_file
from kinflow.results import Reconstruction


def run(options: Convert) -> int:
    """Write the files; returns the exit code.

    Raises:
        InputError: there is no result, it shows nobody, a file is there already, or nothing can be
            written.
    """
    check_folder_destination(options.out)
    result = load(options.result)
    files = _files(result, options)
    if not options.overwrite:
        for name in files:
            if os.path.lexists(options.out / name):
                raise InputError(
                    f"'{options.out / name}' exists already; overwrite it, or choose another "
                    "output folder.",
                    {"overwrite it": "overwrite"},
                )
    with explained(options.out):
        options.out.mkdir(parents=True, exist_ok=True)
    for name, (data, what) in files.items():
        write_bytes(options.out / name, data)
        say(f"Wrote {options.out / name}: {what}.")
    return 0


def _files(result: Reconstruction, options: Convert) -> dict[str, tuple[bytes, str]]:
    """Content of each file by its name, and what it holds."""
    if options.to == "glb":
        many = len(result.tracks) != 1
        what = f"{len(result.tracks)} {'people' if many else 'person'}"
        if len(result.frames) > 1:
            what += f", {len(result.frames)} frames"
        return {"scene.glb": (scene_glb(result, None, options.joint_names), what)}
    if not result.tracks:
        raise InputError(f"'{options.result}' shows nobody, so there is no motion to write.")
    _check_body(result, options)
    if options.model is not None:
        return _smpl_files(result, options, options.model)
    motions = list(motions_of(result.tracks, result.frames, Stage.of(result)))
    if options.lock_feet:
        motions = [_held(motion, options.legs) for motion in motions]
    if options.to == "bvh":
        return {
            bvh_name(m.identity): (bvh_bytes(m, options.joint_names), _told(m)) for m in motions
        }
    return {amass_name(m.identity): (amass_bytes(m), _told(m)) for m in motions}


def _held(motion: Motion, legs: float) -> Motion:
    """The motion with feet that stand; that nobody's do is said, for nothing changes then."""
    if not any(stands.any() for stands in contacts(motion)):
        say(
            f"No foot of person {motion.identity} was found to stand, so none is held; a motion "
            "that shakes, as that of --fast, is put right by `kinflow motion clean`."
        )
    return lock_feet(motion, legs)


def _check_body(result: Reconstruction, options: Convert) -> None:
    users = result.tracks[0].bodies[0].users_body
    if users is not None and options.to == "amass":
        raise InputError(
            f"'{options.result}' is of the body '{users.path}', of which glb and bvh can be "
            "written, and smpl, smplh or smplx with that file (as archives that AMASS's readers "
            "read too), but not amass, whose shape is that of kinflow's own body."
        )
    if users is not None and options.model is not None:
        check_file(options.model)
        if file_sha256(options.model) != users.checksum:
            raise InputError(
                f"'{options.result}' is of the body '{users.path}'; give that file, for it cannot "
                "be converted to another one."
            )


def _smpl_files(
    result: Reconstruction, options: Convert, model: Path
) -> dict[str, tuple[bytes, str]]:
    theirs = UsersBody.load(model, options.betas)
    if theirs.family != options.to:
        what = (
            f"of {FAMILY_NAMES[theirs.family]}; convert to that"
            if theirs.family
            else "of none of the family; give a file of SMPL, SMPL-H or SMPL-X"
        )
        raise InputError(f"'{model}' has {theirs.num_joints} joints, those {what}.")
    stage, period_s = Stage.of(result), period_of(result.frames)
    files = {}
    for track in result.tracks:
        person = SmplPerson.of(track, theirs)
        motion = person.motion(stage, period_s)
        what = f"{_told(motion)}; {person.residual()}"
        files[smpl_name(track.identity, theirs)] = (smpl_bytes(person, motion, theirs), what)
    return files


def _told(motion: Motion) -> str:
    filled = len(motion) - int(motion.seen.sum())
    note = f", {filled} of them between frames or filled in" if filled else ""
    return (
        f"{len(motion)} poses from {motion.start_s:.2f} s on, {motion.rate_hz:.4g} a second{note}"
    )
