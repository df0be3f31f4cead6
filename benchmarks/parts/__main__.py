"""Body parts: accuracy of alignment on known truth, convergence from far away, cost, real photos,
and part networks on people of a studio.

python benchmarks/parts accuracy --poses poses.safetensors
python benchmarks/parts convergence --poses poses.safetensors
python benchmarks/parts cost
python benchmarks/parts studio --poses poses.safetensors [--weights run/parts.safetensors]
python benchmarks/parts photos PHOTO... [--sheet sheet.png] [--bodypix bodypix.onnx]
"""

from __future__ import annotations

import accuracy
import convergence
import cost
import photos
import studio
import torch
import tyro


def main() -> None:
    torch.set_num_threads(1)
    config = tyro.extras.subcommand_cli_from_dict(
        {
            "accuracy": accuracy.AccuracyConfig,
            "convergence": convergence.ConvergenceConfig,
            "cost": cost.CostConfig,
            "photos": photos.PhotosConfig,
            "studio": studio.StudioPartsConfig,
        },
        description=__doc__,
    )
    if isinstance(config, accuracy.AccuracyConfig):
        accuracy.main(config)
    elif isinstance(config, convergence.ConvergenceConfig):
        convergence.main(config)
    elif isinstance(config, cost.CostConfig):
        cost.main(config)
    elif isinstance(config, studio.StudioPartsConfig):
        studio.main(config)
    else:
        photos.main(config)


if __name__ == "__main__":
    main()
