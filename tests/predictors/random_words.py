"""What a frame network might have said of somebody over time, at random, and networks for it."""

import torch

from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.predictors.sequence_predictor import SequencePredictor, SequencePredictorInfo
from kinflow.predictors.temporal import TemporalConfig
from kinflow.predictors.words import Words

LATENT, SHAPE, READOUT = 5, 6, 24
SMALL = TemporalConfig(
    readout=READOUT, latent_size=LATENT, window=12, width=16, layers=2, heads=2, averages=3
)


def random_words(frames: int, seed: int = 0, turning: bool = False) -> Words:
    """Of somebody who is missed in some frames."""
    g = torch.Generator().manual_seed(seed)

    def randn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g)

    time_s = torch.cumsum(0.02 + 0.05 * torch.rand(frames, generator=g), 0)
    seen = torch.rand(frames, generator=g) > 0.2
    seen[1] = True
    words = Words(
        time_s=time_s,
        seen=torch.ones_like(seen),
        R_still_cam=rotvec_to_matrix(0.1 * randn(frames, 3) * turning),
        hidden=randn(frames, READOUT),
        R_cam_root=rotvec_to_matrix(torch.tensor([3.0, 0, 0]) + 0.3 * randn(frames, 3)),
        t_cam_root_m=torch.tensor([0.3, 0.1, 4.0]) + 0.2 * randn(frames, 3),
        z=randn(frames, LATENT),
        s=0.3 * randn(frames, SHAPE),
        std=0.1 + torch.rand(frames, 6 + LATENT + SHAPE, generator=g),
        R_cam_view=rotvec_to_matrix(0.2 * randn(frames, 3)),
        side=0.5 + torch.rand(frames, generator=g),
    )
    return words.without(~seen)


def random_network(config: TemporalConfig = SMALL) -> SequencePredictor:
    """One whose heads say something, as those of untrained ones do not."""
    torch.manual_seed(0)
    predictor = SequencePredictor(config, SequencePredictorInfo()).eval()
    with torch.no_grad():
        for parameter in predictor.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return predictor
