"""Figures of an experiment on their way into its record."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from deep_bottleneck.config.messages import named, said
from deep_bottleneck.errors import ConfigError
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

    Where plotters give several drawings the same name, the later ones have a number behind it. A
    plotter that gives something else does not keep others from drawing.

    Args:
        plotters: what draws.
        results: what is drawn.
        record: where the figures go.
        folder: where files are kept on their way there.
        known: names of artifacts that are there already and stay as they are.
        svg: whether to store every figure `<name>` as an SVG `<name>_svg` besides.

    Raises:
        ConfigError: if a plotter gives something else than drawings by their names, once all others
            have drawn.
    """
    drawn_so_far: Counter[str] = Counter()
    mistakes: list[ConfigError] = []
    for plotter in plotters:
        try:
            drawings = _drawings(plotter, results)
        except ConfigError as mistake:
            mistakes.append(mistake)
            continue
        for name, drawn in drawings.items():
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
    if mistakes:
        raise mistakes[0]


def _drawings(plotter: BasePlotter, results: Results) -> Mapping[str, Figure | Drawing]:
    try:
        drawings = plotter.plot(results)
    except Exception as error:
        error.add_note(f"The plotter is {named(plotter)}.")
        raise
    if not isinstance(drawings, Mapping):
        raise ConfigError(
            f'"plotters": plot() of {named(plotter)} gave {said(drawings)}, expected a mapping of '
            'drawings by their names, such as {"accuracy": figure}'
        )
    for name, drawn in drawings.items():
        is_drawing = isinstance(drawn, Figure) or (
            hasattr(drawn, "suffix") and hasattr(drawn, "save")
        )
        if not isinstance(name, str) or not is_drawing:
            raise ConfigError(
                f'"plotters": plot() of {named(plotter)} gave {said(drawn)} as {name!r}, expected '
                "a Matplotlib figure, or what has a suffix and a save(path), under a name"
            )
    return drawings


def _saved(drawn: Figure | Drawing, stem: Path) -> Path:
    suffix = ".png" if isinstance(drawn, Figure) else drawn.suffix
    path = stem.with_name(stem.name + suffix)
    if isinstance(drawn, Figure):
        drawn.savefig(path, dpi=DPI)
    else:
        drawn.save(path)
    return path
