"""Commands on pages that no test of this folder types, each with the reason.

They are still understood: options are parsed. Reasons are few, and a test counts them.
"""

NOT_RUN: dict[str, dict[str, str]] = {
    "docs/tutorials/serve.md": {"pip install 'kinflow[serve]'": "install"},
    "docs/tutorials/cluster.md": {
        "kinflow reconstruct scenes/images --out many --format npz --on ray --workers 2": "cluster",
    },
}
