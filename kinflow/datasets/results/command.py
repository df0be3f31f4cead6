"""`kinflow data results`: what other systems found, as rows that evaluations compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from kinflow.body.users_body import UsersBody
from kinflow.checks import one_of
from kinflow.datasets.person_rows import write_rows
from kinflow.datasets.results.detections import detection_rows
from kinflow.datasets.results.layouts import TOOLS, read_results
from kinflow.datasets.results.parameters import BodyParameters
from kinflow.datasets.results.rows import person_rows


@dataclass(frozen=True)
class ResultsConfig:
    """Read what another system found and write it as person rows (docs/smpl.md).

    Parameters of bodies come as npz, pickles and files of torch.save of 4D-Humans, PHALP, WHAM,
    GVHMR, SAM 3D Body and others; keypoints, with --photos, in any layout of docs/keypoints.md.
    """

    results: Annotated[Path, Positional, arg(metavar="FILE")]
    """What the other system wrote."""
    out: Annotated[Path, arg(metavar="NPZ")]
    """File for the rows."""
    model: Annotated[Path | None, arg(metavar="FILE")] = None
    """The body that parameters are of: a file of SMPL, SMPL-H or SMPL-X."""
    tool: Annotated[str, arg(metavar="NAME")] = "auto"
    """Who wrote it: phalp, wham, gvhmr, sam3d or smpl; told by the fields unless given."""
    sequence: Annotated[str, arg(metavar="NAME")] = ""
    """Name of the clip or photo; the file's own unless given."""
    vertices: FlagCreatePairsOff[bool] = False
    """Write meshes as well."""
    photos: Annotated[tuple[Path, ...], arg(metavar="PHOTO ...")] = ()
    """The photos that keypoints are of."""
    keypoints_format: Annotated[str, arg(metavar="NAME")] = "auto"
    """What keypoints are, where they are not recognised."""

    def __post_init__(self) -> None:
        one_of(self, "tool", TOOLS)


def main(config: ResultsConfig) -> None:
    """Read, convert and write.

    Raises:
        InputError: something cannot be read or used, or the rows cannot be written.
    """
    if config.photos:
        rows = detection_rows(config.results, config.photos, config.keypoints_format)
        told = f"{len(rows['frame'])} people in {len(config.photos)} photos"
    else:
        found = read_results(config.results, config.tool, config.sequence)
        body = None
        if config.model is not None:
            size = 10 if found.betas is None else max(1, found.betas.shape[1])
            body = UsersBody.load(config.model, size)
        rows, told = person_rows(found, body, config.vertices), _told(found)
    write_rows(config.out, rows)
    print(f"Wrote {config.out}: {told}.")


def _told(found: BodyParameters) -> str:
    gone = (
        f"; {found.left_out} left out, for their numbers cannot be right" if found.left_out else ""
    )
    people, frames = len(set(found.person.tolist())), len(set(found.frame.tolist()))
    return (
        f"{len(found)} bodies of {found.tool} ({found.model}), "
        f"{people} {'person' if people == 1 else 'people'}, "
        f"{frames} {'frame' if frames == 1 else 'frames'}{gone}"
    )
