"""Pictures of people in batches on one device, for networks to learn from."""

from kinflow.synth.studio.config import StudioConfig as StudioConfig
from kinflow.synth.studio.studio import Studio as Studio
from kinflow.synth.studio.studio import StudioBatch as StudioBatch
