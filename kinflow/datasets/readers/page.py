"""`docs/datasets.md`, written from what readers say of their datasets."""

from __future__ import annotations

from kinflow.datasets.readers.reader import DatasetInfo
from kinflow.datasets.readers.registry import READERS, reader_of
from kinflow.datasets.sample import LABELS

_INTRO = """\
# Datasets

kinflow ships no dataset; it reads those that you have, in the layout in which their authors give
them out. This page is written from the readers by `kinflow data list --page docs/datasets.md`.

    kinflow data list                               # what can be read
    kinflow data check coco ~/data/coco             # what is there, missing or malformed
    kinflow data show coco ~/data/coco --out a.png  # look: sides, axes, cameras, parts
    kinflow data truth h36m ~/data/h36m --out truth.npz  # what evaluation compares with

Every reader yields `kinflow.datasets.sample.Sample`: one person in one picture or at one moment of
motion capture, with any of these labels:

{labels}

`kinflow data truth` writes labels as `kinflow evaluate reconstruction` takes them, of Human3.6M,
MPI-INF-3DHP, COCO (keypoints, with the pictures that show nobody) and DensePose-COCO (parts) as
they are; 3DPW's and EMDB's are posed by your own SMPL files (`--bodies FOLDER`). Records that
cannot be right are refused there, for a benchmark has to be whole.

The truth of rendered scenes and worlds (`kinflow.synth.samples`) and what our own detectors saw in
a photo (`kinflow.datasets.evidence_samples`) are samples too.

The pose predictor learns from what the detector sees of people, with their labels beside it
(`kinflow.datasets.samples.Samples`). Every dataset with pictures is a source of a training:

    kinflow train predictor --recipe mix --sources '3dpw ~/data/3dpw split=train weight=2' \\
        'coco ~/data/coco split=train2017 use=keypoints,parts' ...

docs/predictor.md says what is learned from which label. The detector looks at everybody once, led
by points or boxes; `kinflow data see` does only that, for another machine or several trainings
(exit code 2: some records were left out, which it counts at its end):

    kinflow data see coco ~/data/coco --split train2017 --out looks/coco
    kinflow train predictor --sources 'looks looks/coco' ...

Pixels of samples are kinflow's: (0, 0) is the corner of the image and the centres of pixels lie at
+0.5; each dataset below says what its own are. Left and right are the person's. Names of files in
labels that lead out of a dataset's folder are refused, not opened.

## What is checked

`kinflow data check` reads all labels and opens about 1,000 pictures, spread over the label files
(`--pictures 5000`, `--pictures all`). It ends with 0 where nothing is missing or malformed, and
says:

- **what is missing**, by name: label files, pictures that labels name, sequences of EMDB 1, EMDB
  2 and 3DPW's test (`kinflow.datasets.sequence_lists`); a split that is not there at all is a
  note;
- **records that cannot be right** (an annotation, a line of a table, a person, a frame: NaN,
  another shape, flags that there are not, points far outside of their picture). They are left out
  and counted, and the others of the file are read, here as by `data show`, `data see`, `data
  shard` and trainings; a file that is damaged as a whole is one sentence. Recordings of CMU are
  read as a whole;
- **pictures** of another size than their labels are for, with width and height exchanged, stored
  on their side, cut off, or that are none;
- **sides, axes and cameras**, by how people are built: left eyes left of right ones in faces,
  left on the right of where feet and noses point, people who lie in most label files, joints in
  space and bodies (through ours, of average shape) far from the points in the picture or nearer
  to those of the other side. What labels alone cannot tell, such as pictures that were mirrored
  and labels that were not, is seen in the sheet of `kinflow data show`.

## The datasets
"""


def page() -> str:
    """The page as Markdown."""
    infos = [info_of(name) for name in READERS]
    parts = [_INTRO.format(labels=", ".join(LABELS)), _table(infos)]
    return "\n".join([*parts, *(_section(info) for info in infos)])


def info_of(name: str) -> DatasetInfo:
    """What is said of a dataset.

    Raises:
        InputError: there is no such dataset, or a package for it is missing.
    """
    return reader_of(name).info


def listing() -> str:
    """The datasets as lines of text: name, labels, and where they are to be had."""
    infos = [info_of(name) for name in READERS]
    width = max(len(info.name) for info in infos)
    lines = []
    for info in infos:
        lines.append(f"{info.name:{width}}  {info.title}: {', '.join(info.labels)}")
        lines.append(f"{'':{width}}  {info.home}")
    return "\n".join(lines)


def _table(infos: list[DatasetInfo]) -> str:
    rows = ["| name | dataset | labels |", "|---|---|---|"]
    rows += [f"| [`{i.name}`](#{i.name}) | {i.title} | {', '.join(i.labels)} |" for i in infos]
    return "\n".join(rows) + "\n"


def _section(info: DatasetInfo) -> str:
    tree = "\n".join(f"    {line}" for line in info.tree.split("\n"))
    lines = [
        f"## {info.name}",
        "",
        f"{info.title}. Where to get it: {info.home}. Licence: {info.licence}.",
        "",
        f"Used: {info.used}.",
    ]
    if info.splits:
        lines += ["", f"Splits: {', '.join(info.splits)}."]
    if info.needs:
        lines += ["", f"Needs `pip install 'kinflow[datasets]'` ({', '.join(info.needs)})."]
    lines += ["", "Expected below the root:", "", tree, ""]
    if info.faults:
        lines += ["Known faults, and what is done about them:", ""]
        lines += [f"- {fault}" for fault in info.faults] + [""]
    return "\n".join(lines)
