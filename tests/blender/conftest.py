"""The Blender extension lies beside the package, and is imported from there."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "blender"))
