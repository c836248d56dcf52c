"""What estimators share that turn each activation into the index of a bin.

The plug-ins are `mi_estimator.binning`, `mi_estimator.binning_global` and
`mi_estimator.binning_adaptive`.
"""

import math

import torch

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.information.discrete import mutual_information, row_keys
from deep_bottleneck.interfaces import IntArray, LayerInformation


def information_of_bins(bins: torch.Tensor, labels: IntArray) -> LayerInformation:
    """Plug-in MI of a representation whose state is the bins of all its units.

    The network is deterministic and the inputs are distinct, so I(X;M) = H(M) and
    I(Y;M) = H(M) - H(M|Y) (Saxe et al. 2018, section 2).

    Args:
        bins: int64, shape (runs, n_examples, n_units).
        labels: int64, shape (n_examples,).
    """
    entropy, about_label = mutual_information(row_keys(bins), labels)
    return LayerInformation(
        entropy.cpu().numpy(), about_label.cpu().numpy(), ceiling=math.log2(len(labels))
    )


def whole_number_of_bins(discretization_range: float) -> int:
    """The number of bins that a config asks for.

    Raises:
        ConfigError: if it is not a whole number of at least 2.
    """
    if discretization_range != math.floor(discretization_range) or discretization_range < 2:
        raise ConfigError(
            f'"discretization_range" is {discretization_range:g} but this estimator takes it as '
            "the number of bins, which should be a whole number of at least 2, such as 30"
        )
    return int(discretization_range)
