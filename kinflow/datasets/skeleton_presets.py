"""Which joints of somebody else's skeleton are our 22, known by their names.

Every tool names the same bones in its own words: `mixamorig:LeftUpLeg`, `Bip01 L Thigh`,
`UpperLeg_L`, `lThigh`, `thigh.L`. A name is taken apart into a side and a part; prefixes and
namespaces fall away. The parts of limbs are looked up in `LIMB_NAMES`, where each word has its
place in an order because words mean different things in different tools: `LeftShoulder` is the
collar beside a `LeftArm`, and the upper arm beside a `LeftCollar`. The trunk is found by the tree:
the pelvis is where the legs meet, the chest where the arms meet, the spine is what lies between, so
any number of spine joints under any name will do.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kinflow.body.sides import other_side
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.datasets.bvh import BvhClip
from kinflow.errors import InputError

KNOWN_SKELETONS = (
    "Mixamo, MotionBuilder (HumanIK), CMU, LAFAN1, Rokoko, Xsens MVN, Perception Neuron, 3ds Max "
    "(CMU conversion and Biped), Bandai-Namco, Unity and VRM, Unreal, Blender Rigify, Daz and "
    "Poser, MakeHuman, SMPL"
)

LIMB_NAMES: dict[str, tuple[str, ...]] = {
    "knee": ("knee", "lowerleg", "lowerleg01", "lowleg", "loleg", "shin", "calf", "tibia", "leg"),
    "hip": (
        *("upleg", "upperleg", "upperleg02", "upperleg01", "thigh", "thightwist", "thighbend"),
        *("femur", "hip", "leg"),
    ),
    "ankle": ("ankle", "foot"),
    "foot": ("toebase", "toe", "toes", "toe0", "ball", "foot"),
    "shoulder": (
        *("upperarm", "uparm", "upperarm02", "upperarm01", "shldr", "shldrtwist", "shldrbend"),
        *("humerus", "arm", "shoulder"),
    ),
    "collar": ("collar", "clavicle", "clav", "scapula", "shoulder"),
    "elbow": (
        *("elbow", "forearm", "lowerarm", "lowerarm01", "lowarm", "loarm", "forearmbend", "radius"),
    ),
    "wrist": ("wrist", "hand"),
}
"""What other tools call the joints of a limb, best first; each joint is used for one part only, in
the order of the parts here."""

REQUIRED_PARTS = ("hip", "knee", "shoulder", "elbow")

_SIDE_WORDS = {"left": "left", "l": "left", "lft": "left", "right": "right", "r": "right"}
_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+|[^\W\d_]+")
_HEAD, _NECK = "head", "neck"
_SUFFIXES = frozenset({"jnt", "bone", "bind", "skin", "def", "stretch", "m", "c", "x"})
"""Words that riggers end names with."""
_ALL_PARTS = frozenset(word for words in LIMB_NAMES.values() for word in words)
_CHAINS = (("hip", "knee", "ankle", "foot"), ("collar", "shoulder", "elbow", "wrist"))
STAND_INS = {
    "left_collar": "spine3",
    "right_collar": "spine3",
    "left_ankle": "left_knee",
    "right_ankle": "right_knee",
    "left_foot": "left_ankle",
    "right_foot": "right_ankle",
    "left_wrist": "left_elbow",
    "right_wrist": "right_elbow",
    "neck": "spine3",
    "head": "neck",
}
"""Joints that a skeleton may lack: each then moves with another one."""


@dataclass(frozen=True)
class JointMap:
    """The source joint of each of the 22 joints.

    Attributes:
        source: index of a source joint by our joint name; all 22 are there.
        own: our joints that the source has, the others follow another one's source joint.
    """

    source: dict[str, int]
    own: frozenset[str]

    def swapped(self) -> "JointMap":
        """The same with left and right exchanged."""
        return JointMap(
            {other_side(name): joint for name, joint in self.source.items()},
            frozenset(map(other_side, self.own)),
        )


def side_and_part(name: str) -> tuple[str, str]:
    """The side of a joint name (`"left"`, `"right"` or `""`) and the body part, in lower case.

    >>> side_and_part("mixamorig:LeftForeArm"), side_and_part("Bip01 L Thigh")
    (('left', 'forearm'), ('left', 'thigh'))
    """
    words = [word.lower() for word in _WORD.findall(re.split(r"[:|]", name)[-1])]
    side = ""
    rest: list[str] = []
    for word in words:
        found, word = _split_side(word) if not side else ("", word)
        side = side or found
        rest += [word] if word else []
    part = _known_ending(rest)
    while part is None and len(rest) > 1 and (rest[-1] in _SUFFIXES or rest[-1].isdecimal()):
        rest = rest[:-1]
        part = _known_ending(rest)
    return side, part or "".join(rest)


def _known_ending(words: list[str]) -> str | None:
    """The known part that a name ends with; prefixes of any length fall away, the longest counts.

    Heads and necks are often numbered, limbs only where their number says which half it is.
    """
    for start in range(len(words)):
        part = "".join(words[start:])
        trunk = part.rstrip("0123456789")
        if part in _ALL_PARTS or trunk in (_HEAD, _NECK):
            return trunk if trunk in (_HEAD, _NECK) else part
    return None


def _split_side(word: str) -> tuple[str, str]:
    """The side that a word names, and what else it says."""
    if word in _SIDE_WORDS:
        return _SIDE_WORDS[word], ""
    for text, side in _SIDE_WORDS.items():
        for part in (word.removeprefix(text), word.removesuffix(text)):
            if part != word and part in _ALL_PARTS and word not in _ALL_PARTS:
                return side, part
    return "", word


def map_joints(clip: BvhClip) -> JointMap:
    """Find our 22 joints in a skeleton.

    Raises:
        InputError: a joint that no other can stand in for is missing or hangs in the wrong place,
            or the file holds several people.
    """
    people = [
        (root, joints)
        for root, joints in _trees(clip)
        if all(("left", part) in joints and ("right", part) in joints for part in ("knee", "elbow"))
    ]
    if len(people) > 1:
        names = " and ".join(repr(clip.joint_names[root]) for root, _ in people)
        raise InputError(f"it holds {len(people)} people ({names}); save one file for each")
    limbs = people[0][1] if people else next(iter(_trees(clip)))[1]
    for side in ("left", "right"):
        for part in REQUIRED_PARTS:
            if (side, part) not in limbs:
                raise InputError(_missing(clip, f"{side}_{part}"))
    _check_chains(clip, limbs)
    source = {f"{side}_{part}": joint for (side, part), joint in limbs.items()}
    source |= _trunk(clip, source)
    own = frozenset(source)
    for name, stand_in in STAND_INS.items():
        source.setdefault(name, source[stand_in])
    return JointMap({name: source[name] for name in JOINT_NAMES}, own)


def _missing(clip: BvhClip, joint: str) -> str:
    names = ", ".join(clip.joint_names[:24]) + (", ..." if len(clip.joint_names) > 24 else "")
    return (
        f"its skeleton has no joint for {joint} (it has: {names[:400]}); known skeletons: "
        f"{KNOWN_SKELETONS}"
    )


def _trees(clip: BvhClip) -> Iterator[tuple[int, dict[tuple[str, str], int]]]:
    """The root of each tree, and the limb joints in it by side and part."""
    root_of = list(range(len(clip.parents)))
    for joint, parent in enumerate(clip.parents):
        root_of[joint] = root_of[parent] if parent >= 0 else joint
    words = [side_and_part(name) for name in clip.joint_names]
    for root in sorted(set(root_of)):
        by_word: dict[tuple[str, str], int] = {}
        # of joints that say the same, helpers have the longer names: IK_LeftFoot, __UpLeg_L
        for joint in sorted(range(len(words)), key=lambda j: len(clip.joint_names[j])):
            if root_of[joint] == root:
                by_word.setdefault(words[joint], joint)
        yield root, _limb_joints(by_word)


def _limb_joints(by_word: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Limb joints by side and part; a part has the same word on both sides."""
    limbs: dict[tuple[str, str], int] = {}
    used: set[str] = set()
    for part, words in LIMB_NAMES.items():
        sides = {w: [s for s in ("left", "right") if (s, w) in by_word] for w in words}
        word = next((w for w in words if sides[w] and w not in used), None)
        if word is not None:
            used.add(word)
            limbs |= {(side, part): by_word[side, word] for side in sides[word]}
    return limbs


def _ancestors(clip: BvhClip, joint: int) -> list[int]:
    """The joint and all above it, upwards."""
    chain = []
    while joint >= 0:
        chain.append(joint)
        joint = clip.parents[joint]
    return chain


def _check_chains(clip: BvhClip, limbs: dict[tuple[str, str], int]) -> None:
    """Drop optional joints that are not on their limb, and refuse required ones that are not."""
    for side in ("left", "right"):
        for chain in _CHAINS:
            for upper, lower in zip(chain, chain[1:], strict=False):
                if (side, upper) not in limbs or (side, lower) not in limbs:
                    continue
                a, b = limbs[side, upper], limbs[side, lower]
                if a != b and a in _ancestors(clip, b):
                    continue
                if upper not in REQUIRED_PARTS:
                    del limbs[side, upper]
                elif lower not in REQUIRED_PARTS:
                    del limbs[side, lower]
                else:
                    raise InputError(
                        f"its joint {clip.joint_names[b]!r} ({side}_{lower}) does not hang below "
                        f"{clip.joint_names[a]!r} ({side}_{upper})"
                    )


def _trunk(clip: BvhClip, limbs: dict[str, int]) -> dict[str, int]:
    """Pelvis, spine, neck and head, by where the limbs meet."""
    pelvis = _meeting(clip, limbs["left_hip"], limbs["right_hip"])
    above = clip.parents[pelvis]
    if above >= 0 and side_and_part(clip.joint_names[above])[1].endswith("pelvis"):
        pelvis = above  # older Bipeds hang the thighs from the first spine joint
    arms = [limbs.get(f"{side}_collar", limbs[f"{side}_shoulder"]) for side in ("left", "right")]
    chest = _meeting(clip, *arms)
    if side_and_part(clip.joint_names[chest])[1] == _NECK and clip.parents[chest] >= 0:
        chest = clip.parents[chest]  # Bipeds hang the collars from the neck
    up_to_chest = _ancestors(clip, chest)
    below = set(_ancestors(clip, pelvis))
    spine = [joint for joint in up_to_chest if joint not in below][::-1] or [pelvis]
    trunk = {
        "pelvis": pelvis,
        "spine1": spine[0],
        "spine2": spine[(len(spine) - 1) // 2],
        "spine3": spine[-1],
    }
    words = [side_and_part(name)[1] for name in clip.joint_names]
    above_chest = {
        joint: chain
        for joint in range(len(clip.parents))
        if words[joint] in (_HEAD, _NECK)
        and chest in (chain := _ancestors(clip, joint))
        and joint != chest
    }
    heads = [joint for joint in above_chest if words[joint] == _HEAD]
    necks = [joint for joint in above_chest if words[joint] == _NECK]
    if heads:
        trunk["head"] = heads[0]
        chain = above_chest[heads[0]]
        if chain.index(chest) > 1:
            trunk["neck"] = chain[chain.index(chest) - 1]
    elif necks:
        trunk["neck"] = necks[0]
    elif spine_goes_on := _spine_above(clip, chest):
        trunk["neck"] = spine_goes_on[0]
        if len(spine_goes_on) > 1:
            trunk["head"] = spine_goes_on[-1]
    return trunk


def _spine_above(clip: BvhClip, chest: int) -> list[int]:
    """Joints above the chest that are called spine as well, as Rigify names neck and head."""
    chain, above = [], chest
    for joint, parent in enumerate(clip.parents):
        if parent == above and "spine" in "".join(side_and_part(clip.joint_names[joint])):
            chain.append(joint)
            above = joint
    return chain


def _meeting(clip: BvhClip, a: int, b: int) -> int:
    """The lowest joint that both hang from."""
    above = _ancestors(clip, a)[1:]
    meeting = next((joint for joint in _ancestors(clip, b)[1:] if joint in set(above)), None)
    if meeting is None:
        raise InputError(
            f"its joints {clip.joint_names[a]!r} and {clip.joint_names[b]!r} hang from nothing in "
            "common, so they are not one body"
        )
    return meeting
