"""Commands and programs on pages that the tests of this folder leave out, each with a reason.

Everything else on a page is typed, and new commands are as soon as they are written. What is left
out is still understood: options of kinflow are parsed, unless the command has placeholders.
"""

REASONS = {
    "install": "changes the environment; `make test` and `make demo` do it",
    "data": "needs a dataset or a body that the user has; readers are tested on made files",
    "gpu": "needs a GPU",
    "long": "takes minutes to hours; its training has tests of its own, with small settings",
    "cluster": "needs several processes or machines; tests/pipeline, tests/training start some",
    "template": "has placeholders for what the reader puts there; a tutorial types one of its kind",
    "elsewhere": "typed or run by another test, or on another page",
    "program": "needs a program that is not Python's",
}

AT_MOST = {
    "install": 12,
    "data": 7,
    "gpu": 7,
    "long": 23,
    "cluster": 12,
    "template": 8,
    "elsewhere": 22,
    "program": 2,
}
"""How many commands may have each reason: whoever leaves out more says so here."""

_CMU = "kinflow train prior --data poses.safetensors --out "

NOT_RUN: dict[str, dict[str, str]] = {
    "README.md": {
        "make demo": "install",
        "make test": "install",
        "import kinflow": "elsewhere",  # tests/test_readme.py
        "kinflow serve": "elsewhere",  # docs/serve.md
    },
    "docs/index.md": {"make demo": "install", "source .venv/bin/activate": "install"},
    "docs/install.md": {
        "make demo": "install",
        "source .venv/bin/activate": "install",
        "pip install '.[demo]'": "install",
        "pip install 'kinflow[serve]'": "install",
        "kinflow demo": "elsewhere",  # the tests' own demo_run
    },
    "docs/blender.md": {
        "python tools/build_blender_extension.py": "elsewhere",  # tests/blender
        "blender --background --factory-startup --python tools/check_blender_extension.py -- "
        "dist/kinflow_import-0.2.0.zip OUT_FOLDER RESULT_FOLDER ...": "program",
    },
    "docs/datasets.md": {
        "kinflow data check coco ~/data/coco": "data",
        "kinflow data show coco ~/data/coco --out a.png": "data",
        "kinflow data truth h36m ~/data/h36m --out truth.npz": "data",
        "kinflow data see coco ~/data/coco --split train2017 --out looks/coco": "data",
        "kinflow train predictor --recipe mix --sources '3dpw ~/data/3dpw split=train weight=2' "
        "'coco ~/data/coco split=train2017 use=keypoints,parts' ...": "template",
        "kinflow train predictor --sources 'looks looks/coco' ...": "template",
    },
    "docs/dynamics.md": {"kinflow train dynamics --motions cmu --out dynamics": "long"},
    "docs/evaluation.md": {
        "import numpy as np": "elsewhere",  # tests/evaluation/protocols/test_evaluation_page.py
        "kinflow evaluate reconstruction --protocol 3dpw --truth truth.npz "
        "--predictions ours.npz theirs.npz --out report": "data",
        "kinflow evaluate table --results report/result_ours.json elsewhere/result_theirs.json "
        "--out joined": "elsewhere",  # docs/tutorials/evaluate.md
        "kinflow evaluate collect --results results --joints smpl24 --out ours.npz "
        "--truth truth.npz": "elsewhere",
    },
    "docs/experiments.md": {
        "kinflow data crops --studio.poses poses.safetensors "
        "--studio.backgrounds backgrounds.safetensors --per-shard 128 --shards 11 "
        "--out crops": "long",
        "kinflow data crops --studio.poses poses.safetensors "
        "--studio.backgrounds backgrounds.safetensors --studio.split validation --per-shard 128 "
        "--shards 2 --seed 7 --out others": "long",
        "kinflow train image-predictor --crops crops --validation others --network.crop-px 64 "
        "--network.readout 256 --network.dropout 0.2 --batch-size 64 --minutes 34 "
        "--eval-seconds 100 --learning-rate 1.5e-3 --ema-decay 0.98 --out image": "long",
    },
    "docs/export.md": {
        "blender --background --python tools/look_in_blender.py -- RESULT_FOLDER OUT_FOLDER": (
            "program"
        ),
    },
    "docs/parts.md": {
        "kinflow reconstruct photo.jpg --out labelled --parts maps --parts-palette lip": (
            "elsewhere"  # README.md
        ),
        "kinflow reconstruct photo.jpg --out outlined --masks silhouettes": "elsewhere",
        "kinflow reconstruct photo.jpg --out shown --show-parts": "elsewhere",
        "kinflow reconstruct photo.jpg --out alone --no-parts": "elsewhere",
        "from pathlib import Path": "elsewhere",  # tests/test_parts_page.py
    },
    "docs/predictor.md": {
        # tests/training/test_fits_in_the_loop.py
        "kinflow data see folder photos --out looks": "elsewhere",
        "kinflow train predictor --recipe ss --sources 'looks looks' "
        "--validation 'looks validation' --out round1": "elsewhere",
        "kinflow data fits --looks looks --out fitted --predictor round1/predictor.safetensors": (
            "elsewhere"
        ),
        "kinflow train predictor --recipe mix --sources 'looks fitted use=pose,keypoints,seen' "
        "--validation 'looks validation' --start round1/predictor.safetensors --out round2": (
            "elsewhere"
        ),
        "kinflow data fits --looks looks --out fitted --predictor round2/predictor.safetensors": (
            "elsewhere"
        ),
        "kinflow data look-clips --motions path/to/cmu --seed 3 --shards 32 --out clips": "long",
        "kinflow data look-clips --motions path/to/cmu --clips 4 --shards 9 --out more": "long",
        "kinflow data look-clips --motions path/to/cmu --split validation --seed 7 --shards 2 "
        "--out others": "long",
        "kinflow train sequence-predictor --clips clips more --validation others "
        "--batch-size 16 --steps 700 --eval-every 100 --out sequence": "long",
        "kinflow reconstruct clip.mp4 --fast --sequence-predictor "
        "sequence/sequence-predictor.safetensors --out results": "elsewhere",
        "kinflow train predictor --device cuda --minutes 9.35 --batch-size 2048 "
        "--learning-rate 1.2e-3 --loss.shape 0.6 --live.pictures 512 --out predictor "
        "studio:studio-config --studio.poses poses.safetensors "
        "--studio.backgrounds backgrounds.safetensors": "gpu",
        "kinflow data looks --poses poses.safetensors --out train --shards 79": "long",
        "kinflow data looks --poses poses.safetensors --split validation --out validation "
        "--shards 14": "long",
        "kinflow train predictor --device cuda --minutes 10.0 --eval-seconds 20 --batch-size 2048 "
        "--learning-rate 7e-4 --loss.shape 0.6 --live.pictures 512 "
        "--start first/predictor.safetensors --out second "
        "studio:studio-config --studio.poses poses.safetensors "
        "--studio.backgrounds backgrounds.safetensors": "gpu",
        "kinflow train predictor --recipe mix --sources 'looks train weight=6' 'looks clips' "
        "--validation 'looks validation' --network.dropout 0.35 --steps 4000 "
        "--out predictor": "long",
        "kinflow train predictor --recipe mix --out predictor --looks ~/kept "
        "--sources '3dpw ~/data/3dpw split=train weight=2' "
        "'coco ~/data/coco split=train2017 use=keypoints,parts' "
        "'folder ~/clips at_most=500 weight=0.5' "
        "--validation '3dpw ~/data/3dpw split=validation'": "data",
        "kinflow train image-predictor --device cuda --minutes 480 --batch-size 512 "
        "--learning-rate 1e-3 --network.backbone resnet50 --network.crop-px 224 "
        "--pretrained resnet50.pth --live.pictures 512 --live.pool 100000 --out image "
        "studio:studio-config --studio.poses poses.safetensors "
        "--studio.backgrounds backgrounds.safetensors": "gpu",
        "kinflow reconstruct photo.jpg --predictor image/predictor.safetensors --out results": (
            "elsewhere"  # tests/training/test_image_predictor.py
        ),
        "kinflow data crops --studio.poses poses.safetensors --shards 60 --out crops": "long",
        "kinflow data crops --studio.poses poses.safetensors --studio.split validation --seed 7 "
        "--shards 4 --out others": "long",
        "kinflow train image-predictor --crops crops --validation others --network.crop-px 64 "
        "--out image": "long",
    },
    "docs/prior.md": {
        _CMU + "a --seed 0 --flow.blocks 8 --flow.max-steps 6000 --flow.patience 40": "long",
        _CMU + "b --seed 2 --flow.blocks 8 --flow.hidden 192 --flow.dropout 0.2 "
        "--flow.max-steps 8000": "long",
        _CMU + "c --seed 3 --flow.blocks 8 --flow.hidden 256 --flow.dropout 0.3 "
        "--flow.max-steps 6000": "long",
        _CMU + "flow --flow.dropout 0.05 --flow.max-steps 14000 --teachers a/prior.safetensors "
        "b/prior.safetensors c/prior.safetensors": "long",
        _CMU + "gmm --family gmm": "long",
        _CMU + "vae --family vae": "long",
        "kinflow evaluate prior --data poses.safetensors "
        "--weights realnvp runs/flow/prior.safetensors": "long",
        "kinflow train attitude --data poses.safetensors --out attitude": "long",
    },
    "docs/release.md": {
        'make release PYTHONS="python3.10 python3.11 python3.12 python3.13"': "install",
    },
    "docs/scale.md": {
        "pip install 'kinflow[ray]'": "install",
        "kinflow reconstruct photos/ clips/ --out results --on ray": "cluster",
        "kinflow reconstruct photos/ --out results --on ray --workers 8 --format npz json": (
            "cluster"
        ),
        "RAY_ADDRESS=auto kinflow reconstruct photos/ --out results --on ray": "cluster",
        "export RAY_USAGE_STATS_ENABLED=0": "cluster",
        'head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -1)': "cluster",
        'srun --nodes=1 --ntasks=1 -w "$head" ray start --head --port=6379 '
        "--include-dashboard=false --block &": "cluster",
        "sleep 20": "cluster",
        'srun --nodes=1 --ntasks=1 -x "$head" ray start --address="$head:6379" --block &': (
            "cluster"
        ),
        'RAY_ADDRESS="$head:6379" kinflow reconstruct videos/ --out results --on ray --fps 10 '
        "--format npz": "cluster",
        "accelerate launch --num_processes 2 --cpu -m kinflow train prior "
        "--data poses.safetensors --out run": "cluster",
        _CMU + "run --device cuda": "gpu",
        "torchrun --nproc-per-node 4 -m kinflow train prior --data poses.safetensors --out run "
        "--device cuda": "gpu",
        "srun torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint "
        '"$head:29500" -m kinflow train prior --data poses.safetensors --out run '
        "--device cuda": "cluster",
        "kinflow data shard NAME ROOT --out shards [--split train] "
        "[--size.max-megabytes 256]": "template",
        "kinflow data check shards shards": "elsewhere",  # docs/tutorials/cluster.md
        "from kinflow.datasets.shards import Loader, LoaderConfig, ShardSet": "elsewhere",
    },
    "docs/serve.md": {"pip install 'kinflow[serve]'": "install"},
    "docs/smpl.md": {
        "kinflow convert RESULT --to smpl --model SMPL_NEUTRAL.pkl --out DIR": "template",
        "kinflow convert RESULT --to smplh --model SMPLH_MALE.npz --out DIR --betas 16": (
            "template"
        ),
        "kinflow convert RESULT --to smplx --model SMPLX_FEMALE.npz --out DIR": "template",
        "kinflow reconstruct photo.jpg --out DIR --body SMPL_NEUTRAL.pkl [--betas 10]": (
            "template"
        ),
        "kinflow data results wham_output.pkl --model SMPL_NEUTRAL.pkl --out rows.npz": "data",
    },
    "docs/synth.md": {
        "kinflow synth --out scenes --count 10000 "
        "[--scenes.people.poses poses.safetensors]": "template",
        "kinflow train parts --studio.poses poses.safetensors --out run "
        "[--studio.backgrounds FILE]": "long",
        "kinflow train parts --studio.poses poses.safetensors --out run --device cuda "
        "--minutes 5 --pool.pictures 16384 --pool.draw 256 --batch-size 256": "gpu",
        "kinflow train parts --device cuda --minutes 8.75 --eval-seconds 40 --out parts "
        "--studio.poses poses.safetensors --studio.backgrounds backgrounds.safetensors "
        "--pool.pictures 16384 --pool.draw 256 --pool.first-draws 8 --pool.uses 8 "
        "--batch-size 256 --learning-rate 3e-3 --steps 6000": "gpu",
    },
    "docs/tutorials/photo.md": {"kinflow demo --out demo": "elsewhere"},  # demo_run
    "docs/tutorials/serve.md": {"pip install 'kinflow[serve]'": "install"},
    "docs/tutorials/cluster.md": {
        "kinflow reconstruct scenes/images --out many --format npz --on ray --workers 2": "cluster",
    },
}
