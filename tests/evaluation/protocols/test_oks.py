"""Average precision of keypoints: cases worked out by hand, and the definition written anew."""

from __future__ import annotations

import math

import numpy as np
import plain_figures as plain
import pytest
from neutral_rows import rows_of

from kinflow.body.keypoints import COCO17
from kinflow.errors import InputError
from kinflow.evaluation.protocols.judging import evaluate
from kinflow.evaluation.protocols.named import PROTOCOLS
from kinflow.metrics.keypoints import (
    COCO_SIGMAS,
    OKS_THRESHOLDS,
    FoundPeople,
    TruePeople,
    average_precision,
    judge,
    oks,
)

AREA = 10_000.0


def people(*places, crowd=(), hidden=(), area=AREA) -> TruePeople:
    """Somebody at each place, all of one shape and fully labelled."""
    keypoints = np.stack([person_at(place) for place in places])
    for index in hidden:
        keypoints[index, :, 2] = 0
    box = np.array([[x, y, 100.0, 100.0] for x, y in places])
    is_crowd = np.isin(np.arange(len(places)), list(crowd))
    return TruePeople(keypoints, box, np.full(len(places), area), is_crowd)


def person_at(place) -> np.ndarray:
    shape = np.stack([np.linspace(0, 100, 17), np.linspace(0, 100, 17)[::-1], np.full(17, 2.0)], 1)
    return shape + [*place, 0]


def found(*places, scores=None) -> FoundPeople:
    keypoints = np.stack([person_at(place) for place in places]).astype(float)
    scores = np.linspace(1, 0.5, len(places)) if scores is None else np.array(scores, float)
    return FoundPeople(keypoints, scores, np.full(len(places), AREA))


def ap(*pictures) -> float:
    return float(average_precision([judge(d, t) for t, d in pictures]).precision.mean())


def test_sigmas_are_coco_s():
    assert pytest.approx(plain.SIGMAS) == COCO_SIGMAS and len(COCO_SIGMAS) == len(COCO17)
    by_name = dict(zip(COCO17, COCO_SIGMAS, strict=True))
    assert (by_name["nose"], by_name["left_eye"], by_name["left_ear"]) == (0.026, 0.025, 0.035)
    assert (by_name["left_shoulder"], by_name["left_hip"]) == (0.079, 0.107)
    assert len(OKS_THRESHOLDS) == 10


def test_similarity_of_a_shift():
    """All keypoints d px off: the mean of exp(-d² / (2 a (2 sigma)²))."""
    d = 7.0
    value = oks(found((d, 0)).keypoints_px, people((0, 0)))[0, 0]
    by_hand = sum(math.exp(-(d**2) / (2 * AREA * (2 * s) ** 2)) for s in plain.SIGMAS) / 17
    assert value == pytest.approx(by_hand, abs=1e-12)


def test_a_perfect_detection():
    assert ap((people((0, 0)), found((0, 0)))) == pytest.approx(1)


def test_duplicates_are_false():
    """A second detection of the same person, ranked before one of somebody else."""
    truth = people((0, 0), (400, 0))
    good = found((0, 0), (400, 0))
    assert ap((truth, good)) == pytest.approx(1)
    doubled = found((0, 0), (0, 0), (400, 0))
    # precision is 1 up to a recall of 1/2 (51 of the 101 places), 2/3 from there on
    assert ap((truth, doubled)) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_a_missed_person_costs_recall():
    judged = judge(found((0, 0)), people((0, 0), (400, 0)))
    both = average_precision([judged])
    assert both.recall == pytest.approx(np.full(10, 0.5))
    assert both.precision == pytest.approx(np.full(10, 51 / 101))


def test_crowds_take_any_number_and_count_for_nothing():
    truth = people((0, 0), (400, 0), crowd=[1])
    many = found((400, 0), (401, 0), (402, 0), (0, 0))
    assert ap((truth, many)) == pytest.approx(1)
    judged = judge(many, truth)
    assert judged.people == 1 and judged.ignored[0].tolist() == [True, True, True, False]


def test_people_without_keypoints_are_ignored_by_their_boxes():
    truth = people((0, 0), (400, 0), hidden=[1])
    near, far = (350, 50), (900, 900)  # within the box and as much again around it, and not
    judged = judge(found(near, far, (0, 0)), truth)
    assert judged.ignored[0].tolist() == [True, False, False]
    assert judged.is_true[0].tolist() == [False, False, True]
    assert judged.people == 1


def test_somebody_ignored_takes_no_detection_from_somebody_to_be_found():
    truth = people((3, 0), (0, 0), crowd=[1])
    # nearer to the crowd, and yet of the person
    judged = judge(found((0, 0)), truth)
    assert judged.is_true[0].tolist() == [True]


def test_only_the_best_twenty_count():
    places = [(1000 * k, 0) for k in range(1, 21)]
    judged = judge(found(*places, (0, 0)), people((0, 0)))
    assert judged.score.shape == (20,) and not judged.is_true.any()


def test_sizes_out_of_range_are_ignored():
    truth = people((0, 0), area=900.0)
    judged = judge(found((0, 0), (700, 0)), truth, area_px2=(1024.0, 9216.0))
    assert judged.people == 0 and judged.ignored[0].tolist() == [True, True]
    assert np.isnan(average_precision([judged]).precision).all()


def test_the_definition_written_anew(tmp_path):
    generator = np.random.default_rng(0)
    truth: dict[str, list] = {
        n: [] for n in ("sequence", "keypoints_px", "box_px", "area_px2", "crowd")
    }
    own: dict[str, list] = {n: [] for n in ("sequence", "keypoints_px", "score")}
    pictures = []
    for number in range(12):
        persons, detections = [], []
        for _ in range(int(generator.integers(1, 5))):
            area = float(generator.uniform(3e3, 3e4))
            keypoints = person_at(generator.uniform(0, 300, 2))
            keypoints[:, 2] = generator.integers(0, 3, 17) * (generator.uniform() > 0.2)
            box = np.array([*keypoints[:, :2].min(0), 100.0, 100.0])
            crowd = bool(generator.uniform() < 0.2)
            persons.append((keypoints, box, area, crowd))
            for _ in range(int(generator.integers(0, 3))):
                off = float(generator.choice([1, 5, 15])) * generator.normal(size=(17, 2))
                moved = np.column_stack([keypoints[:, :2] + off, np.ones(17)])
                detections.append((moved, float(generator.choice([0.3, 0.6, 0.9]))))
        pictures.append((persons, detections))
        for keypoints, box, area, crowd in persons:
            truth["sequence"].append(f"photo_{number}")
            truth["keypoints_px"].append(keypoints)
            truth["box_px"].append(box)
            truth["area_px2"].append(area)
            truth["crowd"].append(crowd)
        for keypoints, score in detections:
            own["sequence"].append(f"photo_{number}")
            own["keypoints_px"].append(keypoints[::-1])
            own["score"].append(score)
    # each file in an order of its own
    order = generator.permutation(17)
    truth["keypoints_px"] = [keypoints[order] for keypoints in truth["keypoints_px"]]
    names = {"truth": np.array(COCO17)[order], "own": COCO17[::-1]}
    rows = [
        rows_of(
            tmp_path / f"{which}.npz",
            {
                **{name: np.array(values) for name, values in arrays.items()},
                "frame": np.zeros(len(arrays["sequence"]), int),
                "keypoint_names": np.array(names[which]),
            },
        )
        for which, arrays in (("truth", truth), ("own", own))
    ]
    result = evaluate(rows[0], rows[1], PROTOCOLS["coco-keypoints"]).result
    curves = [plain.precision(pictures, threshold / 100) for threshold in range(50, 100, 5)]
    assert result.figures["OKS AP %"].value == pytest.approx(
        np.mean([c[0] for c in curves]), abs=1e-6
    )
    assert result.figures["OKS AP50 %"].value == pytest.approx(curves[0][0], abs=1e-6)
    assert result.figures["OKS AP75 %"].value == pytest.approx(curves[5][0], abs=1e-6)
    assert result.figures["OKS AR %"].value == pytest.approx(
        np.mean([c[1] for c in curves]), abs=1e-6
    )
    assert 5 < result.figures["OKS AP %"].value < 95
    value = result.figures["OKS AP %"]
    assert value.low < value.value < value.high


def test_numbers_of_keypoints_have_to_agree():
    with pytest.raises(InputError, match="sigmas"):
        oks(found((0, 0)).keypoints_px, people((0, 0)), COCO_SIGMAS[:5])
    with pytest.raises(InputError, match="at least one picture"):
        average_precision([])


def test_pycocotools_says_the_same():
    """Where it is installed: on crowds, unlabelled people, ties and all ranges of area."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    generator = np.random.default_rng(0)
    people_of, found_of, annotations, results = [], [], [], []
    for image in range(1, 40):
        persons, detections = [], []
        for _ in range(int(generator.integers(1, 6))):
            place = generator.uniform(0, 400, 2)
            labels = generator.integers(0, 3, 17) * (generator.uniform() > 0.2)
            keypoints = np.column_stack([place + generator.uniform(0, 100, (17, 2)), labels])
            box = (*keypoints[:, :2].min(0), *np.ptp(keypoints[:, :2], axis=0))
            person = (keypoints, box, generator.uniform(500, 3e4), generator.uniform() < 0.15)
            persons.append(person)
            for _ in range(int(generator.integers(0, 5))):
                off = generator.choice([1, 5, 15]) * generator.normal(size=(17, 2))
                moved = np.column_stack([keypoints[:, :2] + off, np.ones(17)])
                detections.append((moved, float(generator.choice([0.2, 0.5, 0.9]))))
        annotations += [
            {
                "id": len(annotations) + number + 1,
                "image_id": image,
                "category_id": 1,
                "keypoints": k.ravel().tolist(),
                "num_keypoints": int((k[:, 2] > 0).sum()),
                "bbox": list(box),
                "area": area,
                "iscrowd": int(crowd),
            }
            for number, (k, box, area, crowd) in enumerate(persons)
        ]
        results += [
            {"image_id": image, "category_id": 1, "keypoints": k.ravel().tolist(), "score": s}
            for k, s in detections
        ]
        columns = [np.array(column) for column in zip(*persons, strict=True)]
        people_of.append(TruePeople(columns[0], columns[1], columns[2], columns[3].astype(bool)))
        k = np.array([d[0] for d in detections]).reshape(-1, 17, 3)
        size = np.ptp(k[..., :2], axis=1) if len(k) else np.zeros((0, 2))
        scores = np.array([d[1] for d in detections], float)
        found_of.append(FoundPeople(k, scores, size.prod(-1)))
    truth = coco.COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": image} for image in range(1, 40)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }
    truth.createIndex()
    theirs = cocoeval.COCOeval(truth, truth.loadRes(results), "keypoints")
    theirs.evaluate()
    theirs.accumulate()
    theirs.summarize()
    for name, place in (("coco-keypoints", 0), ("-medium", 3), ("-large", 4)):
        protocol = PROTOCOLS["coco-keypoints" + name.removeprefix("coco-keypoints")]
        judged = [
            judge(f, t, area_px2=protocol.area_px2)
            for f, t in zip(found_of, people_of, strict=True)
        ]
        mine = average_precision(judged)
        assert mine.precision.mean() == pytest.approx(theirs.stats[place], abs=1e-9)
        assert mine.recall.mean() == pytest.approx(theirs.stats[place + 5], abs=1e-9)
