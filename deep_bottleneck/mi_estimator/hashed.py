"""MI of locality-sensitive hashes of the inputs and the activations.

The plug-ins are `mi_estimator.edge` and `mi_estimator.edge_published`.
"""

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.information.arrays import as_labels, as_layer
from deep_bottleneck.information.dependence_graph import dependence
from deep_bottleneck.information.hash_ensembles import Ensemble
from deep_bottleneck.information.hashing import Hashed, hash_labels, hash_points
from deep_bottleneck.interfaces import (
    Activations,
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)
from deep_bottleneck.machine.threads import threads_for


class EdgeEstimator(MutualInformationEstimator):
    """EDGE of Noshad, Zeng & Hero (2019), see `information.dependence_graph`.

    The inputs are the same at every epoch and layer and are hashed once, by `fitted`. The label is
    discrete, so its hash is its value.

    Args:
        bandwidth: a factor of the ensemble's bandwidths, which follow the spread of each dimension,
            the number of examples and the number of dimensions; 1 leaves them so.
        ensemble: which hashes, and how to combine their estimates.
        name: what tables call it.
        inputs: the hashed inputs, once they are known.
    """

    fitted_to_inputs = True
    takes_tensors = True

    def __init__(
        self, bandwidth: float, ensemble: Ensemble, name: str, inputs: Hashed | None = None
    ) -> None:
        self.bandwidth = bandwidth
        self.ensemble = ensemble
        self.name = name
        self.inputs = inputs

    @property
    def method(self) -> Method:
        """See `MutualInformationEstimator.method`."""
        return Method(self.name, f"bandwidth {self.bandwidth:g} x automatic", geometric=True)

    def fitted(self, activations: Activations) -> "EdgeEstimator":
        """The same estimator, with the inputs of this recording."""
        try:
            inputs = hash_points(activations.examples[None], self.ensemble, self.bandwidth)
        except ValueError as error:
            raise EstimationError(f"the inputs: {error}") from error
        return EdgeEstimator(self.bandwidth, self.ensemble, self.name, inputs)

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """See `MutualInformationEstimator.estimate`."""
        if self.inputs is None:
            raise EstimationError(
                f"{self.name} measures information about the inputs, so it needs them: call "
                "fitted(recording) first"
            )
        try:
            points = as_layer(activations)
            with threads_for(points.numel()):
                layer = hash_points(points, self.ensemble, self.bandwidth, self.inputs.n_columns)
                classes = as_labels(labels, points.shape[1]).to(layer.keys.device)
                known = hash_labels(classes, layer.n_columns)
                about_input = dependence(self.inputs, layer, self.ensemble)
                about_label = dependence(layer, known, self.ensemble)
        except ValueError as error:
            raise EstimationError(str(error)) from error
        return LayerInformation(
            about_input.cpu().numpy(),
            about_label.cpu().numpy(),
            ceiling=self.ensemble.ceiling(len(labels)),
        )
