"""Time of KSG mutual information: ours against trees, NumPy and the package infomeasure.

Values are compared with the plain NumPy ones. infomeasure is not a requirement of this project: it
is measured where it is installed.

python -m benchmarks.neighbors
"""

import argparse
import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.special import digamma
from sklearn.neighbors import BallTree, KDTree

from benchmarks.timing import milliseconds
from deep_bottleneck.information.neighbors import ksg

N_EXAMPLES, K, CORRELATION = 4096, 3, 0.8
DIMENSIONS = ((1, 1), (2, 2), (3, 3), (5, 5), (10, 12))

Points = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Counts = np.ndarray[Any, np.dtype[np.integer[Any]]]


def with_scipy(x: Points, y: Points) -> float:
    """Kraskov et al. (2004), eq. 8, with SciPy's k-d tree for the neighbours and the counts."""
    joint = np.hstack([x, y])
    distances, _ = cKDTree(joint).query(joint, K + 1, p=np.inf)
    radii = np.asarray(distances)[:, -1]
    closer = np.nextafter(radii, 0)
    counts = [
        np.asarray(cKDTree(points).query_ball_point(points, closer, p=np.inf, return_length=True))
        for points in (x, y)
    ]
    return _bits(*counts)


def with_sklearn(tree: type[KDTree] | type[BallTree], x: Points, y: Points) -> float:
    """The same with one of scikit-learn's trees."""
    joint = np.hstack([x, y])
    radii = tree(joint, metric="chebyshev").query(joint, K + 1)[0][:, -1]
    closer = np.nextafter(radii, 0)
    counts = [
        tree(points, metric="chebyshev").query_radius(points, closer, count_only=True)
        for points in (x, y)
    ]
    return _bits(*counts)


def with_numpy(x: Points, y: Points) -> float:
    """The same with whole matrices of distances."""
    in_x, in_y = _distances(x), _distances(y)
    radii = np.partition(np.maximum(in_x, in_y), K, axis=1)[:, [K]]
    return _bits((in_x < radii).sum(axis=1), (in_y < radii).sum(axis=1))


def _distances(points: Points) -> Points:
    largest = np.zeros((len(points), len(points)))
    difference = np.empty_like(largest)
    for coordinate in points.T:
        np.subtract(coordinate[:, None], coordinate, out=difference)
        np.abs(difference, out=difference)
        np.maximum(largest, difference, out=largest)
    return largest


def _bits(n_x: Counts, n_y: Counts) -> float:
    """From the counts, which include the example itself as n + 1 does."""
    nats = digamma(K) + digamma(N_EXAMPLES) - np.mean(digamma(n_x) + digamma(n_y))
    return float(nats / np.log(2))


def ours(x: Points, y: Points) -> float:
    """This project's, which also looks for ties."""
    return float(ksg(x[None], y[None], K))


def infomeasure() -> Callable[[Points, Points], float] | None:
    """The package's estimator, without the noise it adds to the data, where it is installed."""
    try:
        package = importlib.import_module("infomeasure")
    except ImportError:
        return None
    return partial(package.mutual_information, approach="ksg", k=K, noise_level=0, base=2)


def gaussians(n_x: int, n_y: int) -> tuple[Points, Points]:
    """Two normal variables, whose coordinates correlate in pairs as far as they go."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((N_EXAMPLES, n_x))
    y = generator.standard_normal((N_EXAMPLES, n_y))
    pairs = min(n_x, n_y)
    y[:, :pairs] *= np.sqrt(1 - CORRELATION**2)
    y[:, :pairs] += CORRELATION * x[:, :pairs]
    return x, y


def main() -> None:
    """Print for each dimension the milliseconds, the ratio to ours and the difference in bits."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5, help="how often to time each function")
    options.add_argument("--threads", type=int, default=1, help="threads for torch")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    methods: dict[str, Callable[[Points, Points], float]] = {
        "ours": ours,
        "scipy cKDTree": with_scipy,
        "sklearn KDTree": partial(with_sklearn, KDTree),
        "sklearn BallTree": partial(with_sklearn, BallTree),
        "NumPy": with_numpy,
    }
    package = infomeasure()
    if package is None:
        print("the package infomeasure is absent")
    else:
        methods["infomeasure"] = package
    print(f"N {N_EXAMPLES}, k {K}, correlation {CORRELATION}, {chosen.threads} threads")
    print(
        f"{'dimensions':12}{'method':18}{'ms':>9}{'ratio':>8}{'of medians':>12}{'bits':>9}"
        f"{'difference':>13}"
    )
    for n_x, n_y in DIMENSIONS:
        x, y = gaussians(n_x, n_y)
        values = {name: float(method(x, y)) for name, method in methods.items()}
        times = milliseconds(
            {name: partial(method, x, y) for name, method in methods.items()}, chosen.rounds
        )
        for name, value in values.items():
            theirs, ours_ = times[name], times["ours"]
            print(
                f"{f'{n_x} + {n_y}':12}{name:18}{theirs.fastest:9.1f}"
                f"{theirs.fastest / ours_.fastest:8.2f}{theirs.median / ours_.median:12.2f}"
                f"{value:9.4f}{abs(value - values['NumPy']):13.1e}"
            )


if __name__ == "__main__":
    main()
