"""Figures of an experiment on their way into its record."""

from collections.abc import Collection, Iterable
from pathlib import Path

from matplotlib.figure import Figure

from deep_bottleneck.interfaces import ArtifactRecord, BasePlotter, Results
from deep_bottleneck.plotter.style import DPI


def store_figures(
    plotters: Iterable[BasePlotter],
    results: Results,
    record: ArtifactRecord,
    folder: Path,
    known: Collection[str] = (),
    svg: bool = False,
) -> None:
    """Draw, and store every figure as a PNG and any other drawing as the file it makes.

    Args:
        plotters: what draws.
        results: what is drawn.
        record: where the figures go.
        folder: where files are kept on their way there.
        known: names of artifacts that are there already and stay as they are.
        svg: whether to store every figure `<name>` as an SVG `<name>_svg` besides.
    """
    for plotter in plotters:
        for name, drawing in plotter.plot(results).items():
            if name in known:
                continue
            if isinstance(drawing, Figure):
                path = folder / f"{name}.png"
                drawing.savefig(path, dpi=DPI)
                if svg:
                    scalable = folder / f"{name}_svg.svg"
                    drawing.savefig(scalable)
                    record.add_artifact(str(scalable), name=f"{name}_svg")
            else:
                path = folder / f"{name}{drawing.suffix}"
                drawing.save(path)
            record.add_artifact(str(path), name=name)
