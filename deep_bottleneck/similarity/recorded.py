"""Similarity of what was recorded: between layers, epochs and runs, of one store or of two."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from deep_bottleneck.interfaces import Activations, FloatArray
from deep_bottleneck.similarity.base import Measure, as_representation

logger = logging.getLogger(__name__)

COLUMNS = (
    "measure",
    "run",
    "other_run",
    "epoch",
    "other_epoch",
    "layer",
    "name",
    "other_layer",
    "other_name",
    "similarity",
)


def similarity_of_layers(
    recording: Activations,
    measure: Measure[Any],
    epoch: int | None = None,
    other: Activations | None = None,
    other_epoch: int | None = None,
) -> pd.DataFrame:
    """Compare every layer of each run with every layer of the same run.

    Args:
        recording: what was recorded of one part of the data.
        measure: how to compare.
        epoch: at which recorded epoch; None for the last that each run has.
        other: the recording that the other layers are from, of the same examples; None for the
            same.
        other_epoch: the epoch of the other layers; None for `epoch`.

    Returns:
        One row for each run, layer and other layer, with the columns measure, run, other_run,
        epoch, other_epoch, layer, name, other_layer, other_name and similarity. What is not
        defined is NaN.

    Raises:
        ValueError: if an epoch was not recorded, or the recordings are empty, not of the same
            examples, or have no run in common.
    """
    other = _same_examples(recording, other)
    first = _runs_at(recording, epoch)
    second = _runs_at(other, epoch if other_epoch is None else other_epoch)
    runs = sorted(first.keys() & second.keys())
    if not runs:
        raise ValueError(
            f"no run is in both recordings: there are {sorted(first)} and {sorted(second)}"
        )
    epochs, other_epochs = [first[run] for run in runs], [second[run] for run in runs]
    prepared = [
        measure.prepare(_stacked(recording, runs, epochs, layer))
        for layer in range(recording.n_layers)
    ]
    frames = []
    for other_layer in range(other.n_layers):
        theirs = measure.prepare(_stacked(other, runs, other_epochs, other_layer))
        frames += [
            _frame(
                measure.between(ours, theirs),
                run=runs,
                other_run=runs,
                epoch=epochs,
                other_epoch=other_epochs,
                layer=layer,
                other_layer=other_layer,
            )
            for layer, ours in enumerate(prepared)
        ]
    return _table(frames, measure, (recording, other))


def similarity_to_final(
    recording: Activations, measure: Measure[Any], other: Activations | None = None
) -> pd.DataFrame:
    """Compare each layer at every recorded epoch with its final self.

    Layers that settle from the input side to the readout are what Raghu et al. 2017 call bottom-up
    convergence (section 4.1).

    Args:
        recording: what was recorded of one part of the data.
        measure: how to compare.
        other: the recording whose final layers are compared with, of the same examples; None for
            the same.

    Returns:
        One row for each run, epoch and layer, with the columns of `similarity_of_layers`.

    Raises:
        ValueError: if the recording that is compared with is empty, or is not of the same examples.
    """
    other = _same_examples(recording, other)
    last = _runs_at(other, None)
    runs = sorted(last)
    frames = []
    for layer in range(min(recording.n_layers, other.n_layers)):
        final = measure.prepare(_stacked(other, runs, [last[run] for run in runs], layer))
        for epoch in recording.epochs:
            at_epoch = [run for run in recording.runs(epoch).tolist() if run in last]
            if not at_epoch:
                continue
            ours = measure.prepare(_stacked(recording, at_epoch, [epoch] * len(at_epoch), layer))
            theirs = _rows(final, [runs.index(run) for run in at_epoch])
            frames.append(
                _frame(
                    measure.between(ours, theirs),
                    run=at_epoch,
                    other_run=at_epoch,
                    epoch=epoch,
                    other_epoch=[last[run] for run in at_epoch],
                    layer=layer,
                    other_layer=layer,
                )
            )
    return _table(frames, measure, (recording, other))


def similarity_of_runs(
    recording: Activations,
    measure: Measure[Any],
    epoch: int | None = None,
    other: Activations | None = None,
    other_epoch: int | None = None,
) -> pd.DataFrame:
    """Compare every run with every run, layer by layer.

    Args:
        recording: as for `similarity_of_layers`.
        measure: as for `similarity_of_layers`.
        epoch: as for `similarity_of_layers`.
        other: as for `similarity_of_layers`.
        other_epoch: as for `similarity_of_layers`.

    Returns:
        One row for each run, other run and layer, with the columns of `similarity_of_layers`.

    Raises:
        ValueError: as for `similarity_of_layers`.
    """
    other = _same_examples(recording, other)
    first = _runs_at(recording, epoch)
    second = _runs_at(other, epoch if other_epoch is None else other_epoch)
    pairs = pd.MultiIndex.from_product([first, second]).to_frame(index=False).to_numpy()
    runs, other_runs = pairs.T.tolist()
    frames = []
    for layer in range(min(recording.n_layers, other.n_layers)):
        ours = _stacked(recording, list(first), list(first.values()), layer)
        theirs = _stacked(other, list(second), list(second.values()), layer)
        # (runs, 1) against (1, other runs)
        found = measure.between(measure.prepare(ours[:, None]), measure.prepare(theirs[None]))
        frames.append(
            _frame(
                found.flatten(),
                run=runs,
                other_run=other_runs,
                epoch=[first[run] for run in runs],
                other_epoch=[second[run] for run in other_runs],
                layer=layer,
                other_layer=layer,
            )
        )
    return _table(frames, measure, (recording, other))


def _same_examples(recording: Activations, other: Activations | None) -> Activations:
    if other is None or other is recording:
        return recording
    if not np.array_equal(recording.examples, other.examples):
        raise ValueError(
            "two recordings can only be compared on the same examples: theirs are "
            f"{recording.examples.shape} and {other.examples.shape} or differ in their values"
        )
    return other


def _runs_at(recording: Activations, epoch: int | None) -> dict[int, int]:
    """The epoch of each run: this one, or the last that the run has."""
    if not recording.epochs:
        raise ValueError("the recording is empty: no epoch of any run was recorded")
    if epoch is not None and epoch not in recording.epochs:
        raise ValueError(
            f"epoch {epoch} was not recorded; the nearest that was is "
            f"{min(recording.epochs, key=lambda known: abs(known - epoch))}"
        )
    epochs = recording.epochs if epoch is None else [epoch]
    found = {run: known for known in epochs for run in recording.runs(known).tolist()}
    return dict(sorted(found.items()))


def _stacked(
    recording: Activations, runs: Sequence[int], epochs: Sequence[int], layer: int
) -> torch.Tensor:
    """A layer of some runs, each at its epoch: shape (runs, n_examples, n_units)."""
    found: dict[int, FloatArray] = {}
    for epoch in dict.fromkeys(epochs):
        wanted = {run for run, at in zip(runs, epochs, strict=True) if at == epoch}
        recorded = zip(recording.runs(epoch).tolist(), recording.layer(epoch, layer), strict=True)
        found |= {run: values for run, values in recorded if run in wanted}
    return as_representation(np.stack([found[run] for run in runs]))


def _rows(prepared: Any, rows: Sequence[int]) -> Any:
    """What was prepared of some of the runs."""
    return type(prepared)(*(tensor[list(rows)] for tensor in prepared))


def _frame(similarity: torch.Tensor, **columns: int | Sequence[int]) -> pd.DataFrame:
    return pd.DataFrame({**columns, "similarity": similarity.cpu().numpy()})


def _table(
    frames: Iterable[pd.DataFrame], measure: Measure[Any], of: tuple[Activations, Activations]
) -> pd.DataFrame:
    empty = pd.DataFrame(columns=COLUMNS)
    found = list(frames)
    table = pd.concat(found) if found else empty
    undefined = int(table["similarity"].isna().sum())
    if undefined:
        logger.warning(
            "%s is NaN in %d of %d places, the first at epoch %d, layer %d: there a layer gives "
            "the same for all examples, or values that are not finite",
            measure.name,
            undefined,
            len(table),
            *table.loc[table["similarity"].isna(), ["epoch", "layer"]].iloc[0],
        )
    keys = ["run", "other_run", "epoch", "layer", "other_layer"]
    names, other_names = (dict(enumerate(recording.layer_names)) for recording in of)
    table = table.assign(
        measure=measure.name,
        name=table["layer"].map(names).fillna(""),
        other_name=table["other_layer"].map(other_names).fillna(""),
    ).sort_values(keys, ignore_index=True)
    return table[list(COLUMNS)]
