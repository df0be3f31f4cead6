"""Synthetic scenes of our own body, with the truth: for training networks and for benchmarks."""

from kinflow.synth.scene import Scene, SceneConfig, SceneSource

__all__ = ["Scene", "SceneConfig", "SceneSource"]
