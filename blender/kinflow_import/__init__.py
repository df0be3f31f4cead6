# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: 2026 the kinflow authors
"""Imports result folders of kinflow: people with their motion, the camera, the picture behind them.

One zip file is an extension of Blender 4.2 and later, by `blender_manifest.toml`, and an add-on of
3.4 and later, by `bl_info`. `result`, `timing`, `lens` and `pictures` know nothing of Blender and
can be imported anywhere; `scene`, `compositing` and `panel` load when the add-on is enabled.
"""

bl_info = {
    "name": "kinflow: import results",
    "author": "kinflow authors",
    "version": (0, 2, 0),
    "blender": (3, 4, 0),
    "location": "File > Import > kinflow result folder; sidebar of the 3D view > kinflow",
    "description": "People of a photo or clip with camera, background and motion",
    "category": "Import-Export",
}


def register():
    """Called by Blender when the add-on is enabled."""
    from . import panel

    panel.register()


def unregister():
    """Called by Blender when the add-on is disabled."""
    from . import panel

    panel.unregister()
