"""Figures of an experiment on their way into its record."""

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from matplotlib.figure import Figure

from deep_bottleneck.interfaces import ArtifactRecord, BasePlotter, Drawing, Results
from deep_bottleneck.plotter.style import DPI


def store_figures(
    plotters: Iterable[BasePlotter],
    results: Results,
    record: ArtifactRecord,
    folder: Path,
    known: Collection[str] = (),
    svg: bool = False,
) -> None:
    """Draw, and store every figure as a PNG, and drawings of other kinds as what they are.

    Where plotters give several drawings the same name, the later ones have a number behind it.

    Args:
        plotters: what draws.
        results: what is drawn.
        record: where the figures go.
        folder: where files are kept on their way there.
        known: names of artifacts that are there already and stay as they are.
        svg: whether to store every figure `<name>` as an SVG `<name>_svg` besides.
    """
    drawn_so_far: Counter[str] = Counter()
    for plotter in plotters:
        for name, drawn in plotter.plot(results).items():
            drawn_so_far[name] += 1
            if drawn_so_far[name] > 1:
                name = f"{name}_{drawn_so_far[name]}"
            if name not in known:
                record.add_artifact(str(_saved(drawn, folder / name)), name=name)
            scalable = f"{name}_svg"
            if svg and isinstance(drawn, Figure) and scalable not in known:
                path = folder / f"{scalable}.svg"
                drawn.savefig(path)
                record.add_artifact(str(path), name=scalable)


def _saved(drawn: Figure | Drawing, stem: Path) -> Path:
    suffix = ".png" if isinstance(drawn, Figure) else drawn.suffix
    path = stem.with_name(stem.name + suffix)
    if isinstance(drawn, Figure):
        drawn.savefig(path, dpi=DPI)
    else:
        drawn.save(path)
    return path
