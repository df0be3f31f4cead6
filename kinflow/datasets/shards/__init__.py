"""Samples in tar files, as WebDataset names them, that many readers share without repeating any.

A folder of shards has `index.json` (which shards there are, with checksums), `NAME-000000.tar` and
so on, and beside each a `NAME-000000.npy` that says where in it each sample lies. A sample is the
members `000000000.json` (what JSON can hold), `000000000.npz` (arrays) and, where there is a
picture, `000000000.jpg` or whatever its file was, byte for byte. The page is `docs/scale.md`.
"""

from kinflow.datasets.shards.loader import Loader, LoaderConfig
from kinflow.datasets.shards.order import Position
from kinflow.datasets.shards.reading import ShardSet
from kinflow.datasets.shards.stream import Share, Stream
from kinflow.datasets.shards.writing import write_shards

__all__ = ["Loader", "LoaderConfig", "Position", "ShardSet", "Share", "Stream", "write_shards"]
