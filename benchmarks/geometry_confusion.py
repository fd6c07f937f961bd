"""`classify_geometry` on planted geometries under noise: what each planted block is called, and seconds for batches.

    python benchmarks/geometry_confusion.py                    prints Markdown, writes benchmarks/results/geometry_confusion.json
    python benchmarks/geometry_confusion.py --models 200 --out FILE

A model is a tegum product of one to three blocks with norms of 5 % spread, up to two dropped features of norm below 0.3, up to two
empty dimensions, in random order, rotated. The noise is Gaussian, on all entries, and `noise` is its norm relative to that of the weights
of a feature. A block counts as `torn` unless its features are exactly those of one found block. Collapsed pairs and generic blocks (random
directions, connected by |cos| > 0.4, every dimension well spanned) must get no name; 'right' for them is a nameless (k, d) of the planted
k and d.
"""

import argparse
import json
import os
import platform
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import tegum
from tegum.numerics._classify import classify_geometry
from tegum.theory._blocks import LEAK, LINK, SPANNED, STORED
from tegum.theory._shapes import FIGURES, REGULAR, _figure

OUT = Path(__file__).parent / "results" / "geometry_confusion.json"
NOISE = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2)
SHAPES = {
    "dedicated": (1, 1),
    "digon": (2, 1),
    "triangle": (3, 2),
    "tetrahedron": (4, 3),
    "5-cell": (5, 4),
    "pentagon": (5, 2),
    "hexagon": (6, 2),
    "heptagon": (7, 2),
    "square antiprism": (8, 3),
    "rectified 5-cell": (10, 4),
    "icosahedron": (12, 3),
    "5-demicube": (16, 5),
    "7-simplex": (8, 7),
    "11-simplex": (12, 11),
}
NAMELESS = {"collapsed pair": (2, 1)} | {
    f"generic ({k}, {d})": (k, d) for k, d in ((2, 2), (3, 2), (5, 2), (5, 3), (8, 3))
}
KINDS = SHAPES | NAMELESS


def gram(k, d):
    """Gram matrix of a named shape."""
    if k == d + 1 or k == 1:
        return (k * np.eye(k) - 1) / (k - 1) if k > 1 else np.ones((1, 1))
    if d == 2:
        turn = 2 * np.pi * np.arange(k) / k
        return np.cos(turn[:, None] - turn)
    return sum(_figure(FIGURES[k, d]))


def vectors(kind, rng):
    """Unit vectors (d, k) of a block of this kind."""
    k, d = KINDS[kind]
    if kind == "collapsed pair":
        return np.ones((1, 2))
    if kind in SHAPES:
        value, vector = np.linalg.eigh(gram(k, d))
        return (vector[:, -d:] * np.sqrt(value[-d:])).T
    while True:
        v = rng.standard_normal((d, k))
        v /= np.linalg.norm(v, axis=0)
        linked = np.linalg.matrix_power((np.abs(v.T @ v) > 0.4).astype(int), k) > 0
        if linked.all() and np.linalg.svd(v, compute_uv=False)[-1] ** 2 > 0.25:
            return v


def plant(rng, kinds):
    """Weights (m, n) and the planted blocks as (kind, features)."""
    chosen = [kinds[i] for i in rng.integers(len(kinds), size=rng.integers(1, 4))]
    parts = [vectors(kind, rng) for kind in chosen]
    dropped = rng.integers(3)
    n = sum(p.shape[1] for p in parts) + dropped
    m = sum(p.shape[0] for p in parts) + rng.integers(3)
    w, order, blocks, row, column = np.zeros((m, n)), rng.permutation(n), [], 0, 0
    for kind, part in zip(chosen, parts, strict=True):
        d, k = part.shape
        at = order[column : column + k]
        w[row : row + d, at] = part * rng.normal(1, 0.05, k)
        blocks.append((kind, tuple(sorted(at.tolist()))))
        row, column = row + d, column + k
    small = rng.standard_normal((m, dropped))
    w[:, order[column:]] = small / np.linalg.norm(small, axis=0) * rng.uniform(0, 0.3, dropped)
    turn = np.linalg.qr(rng.standard_normal((m, m)))[0]
    return turn @ w, blocks


def noisy(w, noise, rng):
    return w + noise / np.sqrt(len(w)) * rng.standard_normal(w.shape)


def wanted(kind):
    return kind if kind in SHAPES else "({}, {}) block".format(*NAMELESS[kind])


def confusion(noise, models, seed=0):
    """Counts of found names per planted kind, and of models of which every block is right."""
    rng = np.random.default_rng([seed, int(1000 * noise)])
    table = defaultdict(Counter)
    right = 0
    for _ in range(models):
        w, blocks = plant(rng, tuple(KINDS))
        found = {b.features: b.name for b in classify_geometry(noisy(w, noise, rng)).blocks()}
        names = [found.get(features, "torn") for _, features in blocks]
        for (kind, _), name in zip(blocks, names, strict=True):
            table[kind][name] += 1
        right += all(name == wanted(kind) for (kind, _), name in zip(blocks, names, strict=True))
    return table, right / models


def summary(table):
    """Shares of shapes named right, and of nameless blocks that got the name of a shape or were torn."""
    shapes, blocks = sum(sum(table[k].values()) for k in SHAPES), sum(sum(table[k].values()) for k in NAMELESS)
    named = sum(count for k in NAMELESS for name, count in table[k].items() if name in SHAPES)
    return {
        "shapes right": sum(table[k][k] for k in SHAPES) / shapes,
        "shapes with another shape's name": sum(
            c for k in SHAPES for name, c in table[k].items() if name in SHAPES and name != k
        )
        / shapes,
        "nameless right": sum(table[k][wanted(k)] for k in NAMELESS) / blocks,
        "nameless named": named / blocks,
    }


def seconds():
    rows = []
    for models, n, m in ((4096, 2, 1), (4096, 5, 2), (4096, 10, 4), (64, 80, 20), (1, 80, 20), (1, 400, 30)):
        rng = np.random.default_rng(0)
        digons = np.zeros((m, n))
        for i in range(min(m, n // 2)):
            digons[i, 2 * i : 2 * i + 2] = 1, -1
        for name, w in (
            ("digons, noise 0.05", digons + 0.05 / np.sqrt(m) * rng.standard_normal((models, m, n))),
            ("random", rng.standard_normal((models, m, n))),
        ):
            start = time.perf_counter()
            classify_geometry(w)
            rows.append(
                {"models": models, "n": n, "m": m, "weights": name, "seconds": round(time.perf_counter() - start, 3)}
            )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=1500, help="per noise")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    rows = []
    print("| noise | shapes right | another shape | nameless right | nameless named | models right |")
    print("|---|---|---|---|---|---|")
    for noise in NOISE:
        table, right = confusion(noise, arguments.models)
        row = {"noise": noise, **summary(table), "models right": right}
        rows.append(row | {"table": {kind: dict(table[kind].most_common()) for kind in KINDS}})
        shares = list(row.values())[1:]
        print(f"| {noise} | " + " | ".join(f"{share:.4f}" for share in shares) + " |", flush=True)
    for row in rows:
        if row["noise"] in (0.02, 0.1, 0.2):
            print(f"\nNoise {row['noise']}\n\n| planted | blocks | right | called otherwise |\n|---|---|---|---|")
            for kind, names in row["table"].items():
                total = sum(names.values())
                others = ", ".join(f"{count} {name}" for name, count in names.items() if name != wanted(kind))
                print(f"| {kind} | {total} | {names.get(wanted(kind), 0) / total:.3f} | {others} |")
    print("\n| models | n | m | weights | seconds |\n|---|---|---|---|---|")
    times = seconds()
    for row in times:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    head = {
        "command": "python benchmarks/geometry_confusion.py",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": tegum.__version__,
        "hardware": f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, numpy {np.__version__}",
        "models": arguments.models,
        "tolerances": {"STORED": STORED, "LINK": LINK, "LEAK": LEAK, "SPANNED": SPANNED, "REGULAR": REGULAR},
    }
    arguments.out.write_text(json.dumps(head | {"rows": rows, "seconds": times}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
