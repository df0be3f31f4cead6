"""Which sequences benchmarks consist of, so that a truth that lacks some is noticed.

The files of EMDB say of themselves which benchmark they are of, and 3DPW's lie in folders of their
splits; neither says what else belongs to it. The names here are what the evaluation code of several
public systems lists, alike in all that were compared: of EMDB GVHMR (hmr4d/dataset/emdb/utils.py)
and PHD (eval_emdb_all.sh), of 3DPW GLAMR (global_recon/run_dataset.py) and scripts around SPIN and
TRACE. EMDB's paper has the same numbers: 17 sequences of EMDB 1 and 25 of EMDB 2.
"""

from __future__ import annotations

from collections.abc import Iterable

EMDB1 = (
    "P1_14_outdoor_climb",
    "P2_23_outdoor_hug_tree",
    "P3_31_outdoor_workout",
    "P3_32_outdoor_soccer_warmup_a",
    "P3_33_outdoor_soccer_warmup_b",
    "P5_42_indoor_dancing",
    "P5_44_indoor_rom",
    "P6_49_outdoor_big_stairs_down",
    "P6_50_outdoor_workout",
    "P6_51_outdoor_dancing",
    "P7_57_outdoor_rock_chair",
    "P7_59_outdoor_rom",
    "P7_60_outdoor_workout",
    "P8_64_outdoor_skateboard",
    "P8_68_outdoor_handstand",
    "P8_69_outdoor_cartwheel",
    "P9_76_outdoor_sitting",
)
EMDB2 = (
    "P0_09_outdoor_walk",
    "P2_19_indoor_walk_off_mvs",
    "P2_20_outdoor_walk",
    "P2_24_outdoor_long_walk",
    "P3_27_indoor_walk_off_mvs",
    "P3_28_outdoor_walk_lunges",
    "P3_29_outdoor_stairs_up",
    "P3_30_outdoor_stairs_down",
    "P4_35_indoor_walk",
    "P4_36_outdoor_long_walk",
    "P4_37_outdoor_run_circle",
    "P5_40_indoor_walk_big_circle",
    "P6_48_outdoor_walk_downhill",
    "P6_49_outdoor_big_stairs_down",
    "P7_55_outdoor_walk",
    "P7_56_outdoor_stairs_up_down",
    "P7_57_outdoor_rock_chair",
    "P7_58_outdoor_parcours",
    "P7_61_outdoor_sit_lie_walk",
    "P8_64_outdoor_skateboard",
    "P8_65_outdoor_walk_straight",
    "P9_77_outdoor_stairs_up",
    "P9_78_outdoor_stairs_up_down",
    "P9_79_outdoor_walk_rectangle",
    "P9_80_outdoor_walk_big_circle",
)
THREEDPW_TEST = (
    *(f"downtown_{name}_00" for name in ("arguing", "bar", "bus", "cafe", "car", "crossStreets")),
    *(f"downtown_{name}_00" for name in ("downstairs", "enterShop", "rampAndStairs", "runForBus")),
    "downtown_runForBus_01",
    *(f"downtown_{name}_00" for name in ("sitOnStairs", "stairs", "upstairs")),
    "downtown_walkBridge_01",
    *(f"downtown_{name}_00" for name in ("walking", "walkUphill", "warmWelcome", "weeklyMarket")),
    "downtown_windowShopping_00",
    *("flat_guitar_01", "flat_packBags_00", "office_phoneCall_00", "outdoors_fencing_01"),
)
SEQUENCES: dict[tuple[str, str], tuple[str, ...]] = {
    ("emdb", "emdb1"): EMDB1,
    ("emdb", "emdb2"): EMDB2,
    ("3dpw", "test"): THREEDPW_TEST,
}
"""By dataset and split, as readers and protocols call them."""
_SHOWN = 6


def lacking(dataset: str, split: str, there: Iterable[str]) -> str | None:
    """What a split lacks, as a sentence; None where it is complete or nobody knows.

    Args:
        dataset, split: as readers and protocols call them.
        there: names of the sequences that are there.
    """
    whole, names = SEQUENCES.get((dataset, split), ()), frozenset(there)
    absent = [name for name in whole if name not in names]
    if not absent:
        return None
    shown = ", ".join(absent[:_SHOWN])
    others = f" and {len(absent) - _SHOWN} others" if len(absent) > _SHOWN else ""
    return (
        f"{len(absent)} of the {len(whole)} sequences of {dataset} {split} are not there: "
        f"{shown}{others}."
    )


def unlisted(dataset: str, split: str, there: Iterable[str]) -> list[str]:
    """Sequences that say that they are of a split whose list has not got them."""
    whole = SEQUENCES.get((dataset, split))
    return [] if whole is None else sorted(frozenset(there) - frozenset(whole))
