"""What infinitely many samples would give, from what several numbers of them do."""

import numpy as np

from deep_bottleneck.causal.injection.channel import Channel
from deep_bottleneck.causal.injection.edges import edge_information

_PARTS = (16, 8, 4, 2, 1)
SMALLEST_PART = max(_PARTS)


def at_infinity(channel: Channel, samples: int, seed: int) -> tuple[float, float]:
    """EI_parts without finite-sample bias, by extrapolation.

    The plug-in estimate is a + b/N + c/N^2 with N samples (Strong et al. 1998, "Entropy and
    information in neural spike trains"); fitted by least squares, weighted by N.

    Args:
        channel: the layer.
        samples: the largest number of samples, at least 32, so that the smallest, a sixteenth of
            it, is 2.
        seed: the seed of the noise.

    Returns:
        The estimate a in bits and its standard error.
    """
    sizes = np.array([samples // part for part in _PARTS])
    estimates = np.array(
        [
            float(edge_information(channel, int(size), seed=seed + index).total)
            for index, size in enumerate(sizes)
        ]
    )
    terms = np.stack([np.ones(len(sizes)), samples / sizes, (samples / sizes) ** 2], axis=1)
    weights = np.sqrt(sizes / samples)[:, None]
    # the estimates' errors are taken to be independent, of variance sigma^2 / N
    design, target = terms * weights, estimates * weights[:, 0]
    fitted, *_ = np.linalg.lstsq(design, target, rcond=None)
    variance = np.square(target - design @ fitted).sum() / (len(sizes) - terms.shape[1])
    covariance = np.linalg.inv(design.T @ design) * variance
    return float(fitted[0]), float(np.sqrt(covariance[0, 0]))
