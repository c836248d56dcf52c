"""Figures of an experiment on their way into its record."""

from collections.abc import Collection, Iterable
from pathlib import Path

from matplotlib.figure import Figure

from deep_bottleneck.interfaces import ArtifactRecord, BasePlotter, Drawing, Results


def store_figures(
    plotters: Iterable[BasePlotter],
    results: Results,
    record: ArtifactRecord,
    folder: Path,
    known: Collection[str] = (),
) -> None:
    """Draw, and store every figure as a PNG, and drawings of other kinds as what they are.

    Args:
        plotters: what draws.
        results: what is drawn.
        record: where the figures go.
        folder: where files are kept on their way there.
        known: names of artifacts that are there already and stay as they are.
    """
    for plotter in plotters:
        for name, drawn in plotter.plot(results).items():
            if name not in known:
                path = _saved(drawn, folder / name)
                record.add_artifact(str(path), name=name)


def _saved(drawn: Figure | Drawing, stem: Path) -> Path:
    suffix = ".png" if isinstance(drawn, Figure) else drawn.suffix
    path = stem.with_name(stem.name + suffix)
    if isinstance(drawn, Figure):
        drawn.savefig(path)
    else:
        drawn.save(path)
    return path
