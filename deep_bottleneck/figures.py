"""Figures of an experiment on their way into its record."""

from collections.abc import Collection, Iterable
from pathlib import Path

from deep_bottleneck.interfaces import ArtifactRecord, BasePlotter, Results


def store_figures(
    plotters: Iterable[BasePlotter],
    results: Results,
    record: ArtifactRecord,
    folder: Path,
    known: Collection[str] = (),
) -> None:
    """Draw, and store every figure as a PNG.

    Args:
        plotters: what draws.
        results: what is drawn.
        record: where the figures go.
        folder: where files are kept on their way there.
        known: names of artifacts that are there already and stay as they are.
    """
    for plotter in plotters:
        for name, figure in plotter.plot(results).items():
            if name not in known:
                path = folder / f"{name}.png"
                figure.savefig(path)
                record.add_artifact(str(path), name=name)
