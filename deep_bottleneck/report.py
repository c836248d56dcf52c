"""An index page over many stored experiments: what differs between them, small planes, links.

    python -m deep_bottleneck.report runs/ -o report.html

The page holds everything it shows; its links lead to the files of the experiments.
"""

import argparse
import base64
import io
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import jinja2
from PIL import Image

from deep_bottleneck.errors import RecordError, exit_on
from deep_bottleneck.eval_tools import (
    Artifact,
    Experiment,
    ExperimentCollection,
    ExperimentLoader,
)
from deep_bottleneck.eval_tools.artifacts import PNGArtifact
from deep_bottleneck.eval_tools.configs import SEED, differing_keys, flat, text
from deep_bottleneck.storage.base import Entry, ExperimentId, readable

TEMPLATE = Path(__file__).with_suffix(".html")
PLANE_PREFIX = "infoplane"
PLANE_WIDTH = 240
HIGHEST = 10 * PLANE_WIDTH
PARTS = ("train", "test")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plane:
    """A small picture and where its original is.

    Attributes:
        name: the name of the artifact.
        small: a PNG in base64.
        link: relative to the page.
    """

    name: str
    small: str
    link: str


@dataclass(frozen=True)
class Row:
    """An experiment in the table; `values` are those of the differing keys, in their order."""

    id: str
    values: Sequence[str]
    plane: Plane | None
    status: str
    accuracy: Sequence[str]
    started: str
    files: Sequence[tuple[str, str]]


def main(arguments: Sequence[str]) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m deep_bottleneck.report", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("runs", type=Path, help="the folder of the local record")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), help="the page to write"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s - %(message)s")
    with exit_on(RecordError):
        experiments = ExperimentLoader(path=options.runs).find_all()
        written = page(experiments, options.runs, options.output.parent)
        try:
            options.output.write_text(written, encoding="utf-8")
        except OSError as error:
            raise RecordError(f"{options.output} cannot be written: {error}") from None
    logger.info("%d experiments: %s", len(experiments), options.output)


def page(experiments: ExperimentCollection, folder: Path, target: Path) -> str:
    """The page as HTML.

    Args:
        experiments: what to show, in this order.
        folder: the local record they are in.
        target: the folder that the page will be in, which links are relative to.

    Raises:
        RecordError: if there is no experiment.
    """
    entries = experiments.store.entries(experiments.ids)
    configs = {id_: flat(config) for id_, config in experiments.configs.items() if id_ in entries}
    if not configs:
        raise RecordError(f"{folder} holds no experiment")
    differing = sorted(differing_keys(configs.values()), key=lambda key: (key == SEED, key))
    first = next(iter(configs.values()))
    root = Path(os.path.relpath(folder.resolve(), target.resolve()))

    def row(id_: ExperimentId) -> Row:
        config, artifacts = configs[id_], Experiment(experiments.store, id_).artifacts
        values = [text(config[key]) if key in config else "" for key in differing]
        return _row(entries[id_], values, artifacts, root / str(id_))

    rows = list(readable(configs, row).values())
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        title=f"{len(rows)} experiments" if len(rows) > 1 else "1 experiment",
        width=PLANE_WIDTH,
        differing=differing,
        parts=PARTS,
        rows=rows,
        common={key: text(value) for key, value in first.items() if key not in differing},
    )


def _row(
    entry: Entry, values: Sequence[str], artifacts: Mapping[str, Artifact], folder: Path
) -> Row:
    links = {
        name: quote((folder / found.file_name).as_posix()) for name, found in artifacts.items()
    }
    planes = [
        name
        for name, found in artifacts.items()
        if name.startswith(PLANE_PREFIX) and isinstance(found, PNGArtifact)
    ]
    # that of the test data where there is one
    chosen = min(planes, key=lambda name: not name.endswith("_test"), default=None)
    small = _small(artifacts[chosen], folder) if chosen else ""
    result = entry.result if isinstance(entry.result, Mapping) else {}
    return Row(
        id=str(entry.id),
        values=values,
        plane=Plane(chosen, small, links[chosen]) if chosen and small else None,
        status=entry.status,
        accuracy=[_share(result.get(part)) for part in PARTS],
        started=f"{entry.start_time:%Y-%m-%d %H:%M}" if entry.start_time else "",
        files=list(links.items()),
    )


def _share(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else ""


def _small(picture: Artifact, folder: Path) -> str:
    """A picture as small as it is shown, in base64; "" if it cannot be read."""
    try:
        with Image.open(io.BytesIO(picture.read())) as image:
            # a strip of a picture is no plane, and its copy would be huge
            height = min(HIGHEST, round(image.height * PLANE_WIDTH / image.width))
            small = image.convert("RGB").resize((PLANE_WIDTH, height), Image.Resampling.LANCZOS)
    except (Image.DecompressionBombError, OSError, RecordError, SyntaxError, ValueError):
        logger.warning("Left out: %s is no picture that can be read", folder / picture.file_name)
        return ""
    found = io.BytesIO()
    small.quantize(64).save(found, "PNG", optimize=True)
    return base64.b64encode(found.getvalue()).decode("ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
