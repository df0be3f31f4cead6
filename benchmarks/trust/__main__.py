"""Whom and what to trust: the real detector and the fit on synthetic pictures of known truth.

python benchmarks/trust hidden --poses poses.safetensors --cache DIR
python benchmarks/trust all --poses poses.safetensors --cache DIR [--default-focal]

People of `kinflow.synth.world` stand, sit and lie on a floor. `hidden`: their legs are behind
furniture, behind somebody, or below the image's edge. `pitch`: the camera looks up or down by as
much as 40 degrees. `sizes`: adults and children in full view. `crowd`: three to eight people.
`space`: where people of all sets are. `codes`: how many people of each code are right. `doubt`:
what tells right bodies from wrong ones. `children`: what tells children from adults. `seated`:
who of people in photographs sits, whose legs nobody saw. `found`: who is found in photographs.
`bends`: how far knees and elbows are bent, in motion capture, photographs and fits. `lens`: how far
off focal lengths are of photos that say nothing of them. `clips`: who is known as a child in clips,
photographs that a camera pans over. `judged`: which bodies in photographs look right to eyes, and
their codes. With a cache pictures are painted and looked at once, and
fitted anew every time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import bends
import children
import doubts
import found
import judged
import lens
import panned
import seated
import tables
import torch
import tyro
from runs import Sets, TrustConfig

Name = Literal[
    "hidden",
    "pitch",
    "sizes",
    "space",
    "crowd",
    "codes",
    "doubt",
    "children",
    "seated",
    "found",
    "bends",
    "lens",
    "clips",
    "judged",
    "all",
]

TABLES: dict[str, Callable[[Sets], str]] = {
    "hidden": tables.hidden,
    "pitch": tables.pitch,
    "sizes": tables.sizes,
    "space": tables.space,
    "crowd": tables.crowd,
    "codes": tables.codes,
    "doubt": doubts.doubts,
    "children": children.children,
    "seated": seated.seated,
    "found": found.found,
    "bends": bends.bends,
    "lens": lens.lens,
    "clips": panned.panned,
    "judged": judged.judged,
}


def main(
    name: Annotated[Name, tyro.conf.Positional],
    config: Annotated[TrustConfig, tyro.conf.arg(name="")],
) -> None:
    torch.set_num_threads(1)
    sets = Sets(config)
    for table in TABLES if name == "all" else (name,):
        print(TABLES[table](sets), flush=True)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
