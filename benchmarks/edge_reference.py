"""EDGE as its paper describes it, in plain Python: what our estimator is compared with.

Noshad, Zeng & Hero (2019, arXiv:1801.09125). Hash each point, count nodes and edges of the
dependence graph in dictionaries, sum over the edges.
"""

import math
from collections import defaultdict
from statistics import fmean, median

import numpy as np
import torch

from deep_bottleneck.information.hash_ensembles import Ensemble
from deep_bottleneck.information.hashing import HashFunctions, hash_functions
from deep_bottleneck.interfaces import FloatArray, IntArray

Cell = tuple[int, ...]
HashFunction = tuple[list[float], list[float]]


def edge_in_python(x: list[Cell], y: list[Cell], upper_bound: float) -> float:
    """The estimate of one pair of hash functions, in bits, from the hash values of all samples."""
    nodes_x: dict[Cell, int] = defaultdict(int)
    nodes_y: dict[Cell, int] = defaultdict(int)
    edges: dict[tuple[Cell, Cell], int] = defaultdict(int)
    for i, j in zip(x, y, strict=True):
        nodes_x[i] += 1
        nodes_y[j] += 1
        edges[i, j] += 1
    n_samples, total = len(x), 0.0
    for (i, j), count in edges.items():
        weight = count * n_samples / (nodes_x[i] * nodes_y[j])
        total += count / n_samples * min(math.log2(weight), upper_bound)
    return total


def hash_values(points: list[list[float]], function: HashFunction) -> list[Cell]:
    """The cell of each point."""
    widths, shifts = function
    return [
        tuple(math.floor(v / w + s) for v, w, s in zip(point, widths, shifts, strict=True))
        for point in points
    ]


def estimate_in_python(
    examples: FloatArray, activations: FloatArray, labels: IntArray, ensemble: Ensemble
) -> tuple[float, float]:
    """I(X;M) and I(Y;M) of one run by the ensemble's hash functions.

    Args:
        examples: shape (n_examples, input_size).
        activations: shape (n_examples, n_units).
        labels: shape (n_examples,).
        ensemble: which hashes, with the weights "average" or "median" and not adjusted.
    """
    bound = math.inf if ensemble.upper_bound is None else ensemble.upper_bound
    inputs, layer = examples.astype(float).tolist(), activations.astype(float).tolist()
    classes: list[Cell] = [(label,) for label in labels.tolist()]
    functions = zip(_functions(examples, ensemble), _functions(activations, ensemble), strict=True)
    about_input, about_label = [], []
    for of_input, of_layer in functions:
        cells = hash_values(layer, of_layer)
        about_input.append(edge_in_python(hash_values(inputs, of_input), cells, bound))
        about_label.append(edge_in_python(cells, classes, bound))
    combine = median if ensemble.weights == "median" else fmean
    return combine(about_input), combine(about_label)


def _functions(points: FloatArray, ensemble: Ensemble) -> list[HashFunction]:
    drawn: HashFunctions = hash_functions(
        torch.from_numpy(points.astype(np.float64))[None], ensemble, bandwidth=1.0
    )
    return [(w[0, 0].tolist(), s[0, 0].tolist()) for w, s in zip(*drawn, strict=True)]
