# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: 2026 the kinflow authors
"""Renders people over the photo or clip: backgrounds of cameras are seen in the viewport only."""

import bpy

_NAME = "kinflow"


def render_over(scene, picture):
    """Let a scene's compositor put renders over a clip or image.

    Args:
        scene: whose compositor is not in use yet.
        picture: a movie clip or an image.

    Returns:
        Sentences about what was not done.
    """
    tree, output = _empty_tree(scene)
    if tree is None:
        return ["The compositor of the scene is in use; renders have no background."]
    is_clip = isinstance(picture, bpy.types.MovieClip)
    behind = tree.nodes.new("CompositorNodeMovieClip" if is_clip else "CompositorNodeImage")
    if is_clip:
        behind.clip = picture
    else:
        behind.image = picture
    people = tree.nodes.new("CompositorNodeRLayers")
    over = tree.nodes.new("CompositorNodeAlphaOver")
    people.scene = scene
    fit = _to_render_size(tree)
    tree.links.new(behind.outputs["Image"], fit.inputs["Image"])
    below, above = [socket for socket in over.inputs if socket.type == "RGBA"]
    tree.links.new(fit.outputs["Image"], below)
    tree.links.new(people.outputs["Image"], above)
    tree.links.new(over.outputs["Image"], output)
    for column, node in enumerate((behind, fit, people, over)):
        node.location = (300 * column, -200 * (node is people))
    scene.render.film_transparent = True
    scene.render.use_compositing = True
    scene.view_settings.view_transform = "Standard"  # others change the picture's colours
    return []


def _empty_tree(scene):
    """A tree without nodes but its output, and that; None where the compositor is in use."""
    if hasattr(scene, "compositing_node_group"):  # Blender 5
        if scene.compositing_node_group is not None:
            return None, None
        tree = bpy.data.node_groups.new(_NAME, "CompositorNodeTree")
        tree.interface.new_socket(name="Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        return tree, tree.nodes.new("NodeGroupOutput").inputs[0]
    if scene.use_nodes:
        return None, None
    scene.use_nodes = True
    scene.node_tree.nodes.clear()
    output = scene.node_tree.nodes.new("CompositorNodeComposite")
    output.location = (1200, 0)
    return scene.node_tree, output.inputs["Image"]


def _to_render_size(tree):
    """A node that scales a picture to the size of renders."""
    node = tree.nodes.new("CompositorNodeScale")
    if hasattr(node, "space"):
        node.space, node.frame_method = "RENDER_SIZE", "STRETCH"
    else:  # Blender 5 has them as sockets
        node.inputs["Type"].default_value = "Render Size"
        node.inputs["Frame Type"].default_value = "Stretch"
    return node
