"""A reader of .glb files of its own, so that writer and reader share no mistake."""

import json
import struct

import numpy as np
import roma
import torch

DTYPES = {5121: np.uint8, 5123: np.uint16, 5126: np.float32}
COMPONENTS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    """A binary glTF file."""

    def __init__(self, data: bytes) -> None:
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON" and size % 4 == 0
        self.json = json.loads(data[20 : 20 + size])
        self.binary = b""
        if 20 + size < len(data):
            length, kind = struct.unpack_from("<I4s", data, 20 + size)
            assert kind == b"BIN\0" and length % 4 == 0
            self.binary = data[28 + size : 28 + size + length]

    def array(self, accessor: int) -> np.ndarray:
        a = self.json["accessors"][accessor]
        view = self.json["bufferViews"][a["bufferView"]]
        assert view["byteOffset"] % 4 == 0
        size = COMPONENTS[a["type"]]
        data = np.frombuffer(
            self.binary, DTYPES[a["componentType"]], a["count"] * size, view["byteOffset"]
        )
        assert data.nbytes == view["byteLength"]
        return data.reshape(-1, size) if size > 1 else data

    def world(self, time_s: float | None = None) -> list[np.ndarray]:
        """Global 4x4 transform of every node, at a time of the animation if one is given."""
        nodes = self.json["nodes"] if time_s is None else self.nodes_at(time_s)
        local = [np.eye(4) for _ in nodes]
        for matrix, node in zip(local, nodes, strict=True):
            quaternion = torch.tensor(node.get("rotation", [0, 0, 0, 1.0]), dtype=torch.float64)
            matrix[:3, :3] = roma.unitquat_to_rotmat(quaternion).numpy()
            matrix[:3, :3] *= node.get("scale", [1, 1, 1])
            matrix[:3, 3] = node.get("translation", [0, 0, 0])
        result: list[np.ndarray] = [np.eye(4)] * len(nodes)

        def visit(index: int, parent: np.ndarray) -> None:
            result[index] = parent @ local[index]
            for child in nodes[index].get("children", []):
                visit(child, result[index])

        for root in self.json["scenes"][0]["nodes"]:
            visit(root, np.eye(4))
        return result

    def nodes_at(self, time_s: float) -> list[dict]:
        """The nodes with what the animation makes of them (glTF 2.0, sections 3.11 and C)."""
        nodes = [dict(node) for node in self.json["nodes"]]
        (animation,) = self.json["animations"]
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            times, values = self.array(sampler["input"]), self.array(sampler["output"])
            assert len(times) == len(values) and (np.diff(times) > 0).all()
            bounds = self.json["accessors"][sampler["input"]]
            assert (bounds["min"], bounds["max"]) == ([times[0]], [times[-1]])
            before = max(0, int(np.searchsorted(times, time_s, side="right")) - 1)
            after = min(before + 1, len(times) - 1)
            a, b = values[before].astype(float), values[after].astype(float)
            span = times[after] - times[before]
            share = np.clip((time_s - times[before]) / span, 0, 1) if span else 0.0
            target = channel["target"]
            if sampler["interpolation"] == "STEP":
                value = a
            elif target["path"] == "rotation":
                both = torch.from_numpy(np.stack([a, b]))
                value = roma.unitquat_slerp(*both, torch.tensor([share]))[0].numpy()
                assert a @ b >= 0  # for players that blend number by number
            else:
                value = a + (b - a) * share
            nodes[target["node"]][target["path"]] = value.tolist()
        return nodes

    def skinned(self, skin_node: dict, time_s: float | None = None) -> np.ndarray:
        """Vertices as a viewer draws them."""
        skin = self.json["skins"][skin_node["skin"]]
        attributes = self.json["meshes"][skin_node["mesh"]]["primitives"][0]["attributes"]
        bind = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
        world = self.world(time_s)
        joints = np.stack([world[j] for j in skin["joints"]]) @ bind
        rest = self.array(attributes["POSITION"]).astype(np.float64)
        rest = np.concatenate([rest, np.ones((len(rest), 1))], 1)
        moved = np.zeros_like(rest)
        for i in range(sum(name.startswith("JOINTS_") for name in attributes)):
            index = self.array(attributes[f"JOINTS_{i}"])
            weight = self.array(attributes[f"WEIGHTS_{i}"])
            for k in range(4):
                moved += weight[:, k, None] * np.einsum("vij,vj->vi", joints[index[:, k]], rest)
        np.testing.assert_allclose(moved[:, 3], 1, atol=1e-6)
        return moved[:, :3]


def skin_nodes(glb: Glb) -> list[dict]:
    return [n for n in glb.json["nodes"] if "skin" in n]
