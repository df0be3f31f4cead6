"""The figures again, from their definitions: loops over plain numpy, nothing of kinflow in it."""

from __future__ import annotations

import math

import numpy as np


def distance(a, b) -> float:
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def middle(points) -> np.ndarray:
    return np.array([sum(float(p[axis]) for p in points) / len(points) for axis in range(3)])


def turned_by(own: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Rotation of centred points by Horn's unit quaternion (1987), an eigenvector of 4 x 4."""
    S = np.zeros((3, 3))
    for p, t in zip(own, true, strict=True):
        for i in range(3):
            for j in range(3):
                S[i, j] += p[i] * t[j]
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = S
    N = np.array(
        [
            [xx + yy + zz, yz - zy, zx - xz, xy - yx],
            [yz - zy, xx - yy - zz, xy + yx, zx + xz],
            [zx - xz, xy + yx, -xx + yy - zz, yz + zy],
            [xy - yx, zx + xz, yz + zy, -xx - yy + zz],
        ]
    )
    values, vectors = np.linalg.eigh(N)
    w, x, y, z = vectors[:, int(values.argmax())]
    return np.array(
        [
            [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
        ]
    )


def similarity(own, true, with_scale=True):
    """x -> s R (x - c) + g as a function."""
    c, g = middle(own), middle(true)
    p, t = own - c, true - g
    R = turned_by(p, t)
    s = 1.0
    if with_scale:
        s = sum(float((R @ a) @ b) for a, b in zip(p, t, strict=True))
        s /= sum(float(a @ a) for a in p)
    return lambda points: np.array([s * (R @ (x - c)) + g for x in points])


def mean_distance(own, true) -> float:
    return sum(distance(a, b) for a, b in zip(own, true, strict=True)) / len(own)


def mpjpe(own, true) -> float:
    return 1000 * mean_distance(own, true)


def n_mpjpe(own, true) -> float:
    s = sum(float(a @ b) for a, b in zip(own, true, strict=True))
    s /= sum(float(a @ a) for a in own)
    return 1000 * mean_distance([s * a for a in own], true)


def pa_mpjpe(own, true) -> float:
    return 1000 * mean_distance(similarity(own, true)(own), true)


def pck(own, true, within_mm) -> float:
    near = [1000 * distance(a, b) < within_mm for a, b in zip(own, true, strict=True)]
    return 100 * sum(near) / len(near)


def auc(own, true) -> float:
    return sum(pck(own, true, threshold) for threshold in range(0, 151, 5)) / 31


def acceleration(own, true, rate) -> list[float]:
    """Of each frame but the first and the last, the mean over joints."""
    values = []
    for f in range(1, len(own) - 1):
        over = []
        for j in range(own.shape[1]):
            a = (own[f - 1, j] - 2 * own[f, j] + own[f + 1, j]) * rate**2
            b = (true[f - 1, j] - 2 * true[f, j] + true[f + 1, j]) * rate**2
            over.append(distance(a, b))
        values.append(sum(over) / len(over))
    return values


def world(own, true, chunk, first) -> list[float]:
    """Of each frame, after each chunk was moved by one similarity."""
    starts = list(range(0, len(true), chunk))
    if len(true) - starts[-1] < 2:
        starts.pop()
    values = []
    for number, start in enumerate(starts):
        stop = starts[number + 1] if number + 1 < len(starts) else len(true)
        last = min(start + 2, stop) if first else stop
        move = similarity(own[start:last].reshape(-1, 3), true[start:last].reshape(-1, 3))
        for f in range(start, stop):
            values.append(1000 * mean_distance(move(own[f]), true[f]))
    return values


def rte(own, true) -> list[float]:
    move = similarity(own, true, with_scale=False)
    path = sum(distance(true[f], true[f + 1]) for f in range(len(true) - 1))
    return [100 * distance(a, b) / path for a, b in zip(move(own), true, strict=True)]


def jitter(own, rate) -> list[float]:
    values = []
    for f in range(len(own) - 3):
        third = (own[f + 3] - 3 * own[f + 2] + 3 * own[f + 1] - own[f]) * rate**3
        values.append(sum(math.sqrt(float(v @ v)) for v in third) / len(third) / 10)
    return values


def sliding(own, true, rate) -> list[float]:
    values = []
    for f in range(len(own) - 1):
        for j in range(own.shape[1]):
            if distance(true[f + 1, j], true[f, j]) < 0.01:
                values.append(100 * rate * distance(own[f + 1, j], own[f, j]))
    return values


SIGMAS = [0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87]
SIGMAS = [s / 10 for s in [*SIGMAS, 0.89, 0.89]]
"""Of COCO's 17 keypoints."""


def oks(found, person, box, area) -> float:
    labelled = [k for k in range(17) if person[k][2] > 0]
    x0, y0 = box[0] - box[2], box[1] - box[3]
    x1, y1 = box[0] + 2 * box[2], box[1] + 2 * box[3]
    total, count = 0.0, 0
    for k in range(17):
        x, y = float(found[k][0]), float(found[k][1])
        if labelled and k not in labelled:
            continue
        if labelled:
            dx, dy = x - float(person[k][0]), y - float(person[k][1])
        else:
            dx = max(0.0, x0 - x) + max(0.0, x - x1)
            dy = max(0.0, y0 - y) + max(0.0, y - y1)
        total += math.exp(-(dx * dx + dy * dy) / (8 * SIGMAS[k] ** 2 * (area + 2.22e-16)))
        count += 1
    return total / count


def precision(pictures, threshold) -> tuple[float, float]:
    """Average precision and recall.

    Args:
        pictures: for each a list of people (keypoints, box, area, crowd) and a list of detections
            (keypoints, score).
    """
    judged, people_in_all = [], 0
    for people, detections in pictures:
        ignored = [p[3] or all(k[2] == 0 for k in p[0]) for p in people]
        people_in_all += ignored.count(False)
        taken = set()
        ranked = sorted(detections, key=lambda d: -d[1])[:20]
        for keypoints, score in ranked:
            best, best_value = None, min(threshold, 1 - 1e-10)
            # somebody to be found comes before anybody who is ignored
            for wanted in (False, True):
                if best is not None:
                    break
                for i, person in enumerate(people):
                    if ignored[i] != wanted or (i in taken and not person[3]):
                        continue
                    value = oks(keypoints, *person[:3])
                    if value >= best_value:
                        best, best_value = i, value
            if best is not None:
                taken.add(best)
            verdict = "false" if best is None else "ignored" if ignored[best] else "true"
            judged.append((score, verdict))
    judged.sort(key=lambda one: -one[0])
    true = false = 0
    curve = []
    for _, verdict in judged:
        true += verdict == "true"
        false += verdict == "false"
        if true + false:
            curve.append((true / people_in_all, true / (true + false)))
    at = [max([p for r, p in curve if r >= k / 100], default=0.0) for k in range(101)]
    return 100 * sum(at) / 101, 100 * max([r for r, _ in curve], default=0.0)


def overlap(a, b, known) -> float:
    both = either = 0
    for row in range(a.shape[0]):
        for column in range(a.shape[1]):
            if known[row, column]:
                both += bool(a[row, column] and b[row, column])
                either += bool(a[row, column] or b[row, column])
    return both / either if either else float("nan")
