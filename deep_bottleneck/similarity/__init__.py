"""How alike are two representations of the same examples? SVCCA, PWCCA and CKA.

    from deep_bottleneck.similarity import cka, svcca

    svcca(activations, others)                      # (..., n_examples, n_units) -> (...)
    cka(activations, others, kernel="rbf", batch_size=256)

All are 1 for equal representations. `recorded` compares what an activation store holds: layers with
each other, a layer with its final self, runs with each other, of one store or of two.
"""

from deep_bottleneck.similarity.base import Measure
from deep_bottleneck.similarity.cca import PWCCA, SVCCA
from deep_bottleneck.similarity.cka import KernelCKA, LinearCKA
from deep_bottleneck.similarity.functions import cka, pwcca, svcca
from deep_bottleneck.similarity.recorded import (
    similarity_of_layers,
    similarity_of_runs,
    similarity_to_final,
)

__all__ = [
    "PWCCA",
    "SVCCA",
    "KernelCKA",
    "LinearCKA",
    "Measure",
    "cka",
    "pwcca",
    "similarity_of_layers",
    "similarity_of_runs",
    "similarity_to_final",
    "svcca",
]
