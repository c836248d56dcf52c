"""Pictures call layers by their names, and by their numbers where a table has none."""

import pandas as pd
import pytest
from measured import table

from deep_bottleneck.interfaces import TableName
from deep_bottleneck.measuring.tables import read_table
from deep_bottleneck.plotter.compression import compression
from deep_bottleneck.plotter.curves import layer_labels
from deep_bottleneck.plotter.informationplane import plane
from deep_bottleneck.plotter.informationplane_movie import movie
from deep_bottleneck.plotter.interactive import page

NAMES = ["block.dense", "block.dense_2", "lstm", "readout"]
LABELS = ["0: block.dense", "1: block.dense_2", "2: lstm", "3: readout"]
METRICS = pd.DataFrame(
    [(run, epoch, 0.5, 0.5) for run in range(3) for epoch in (0, 1, 20)],
    columns=["run", "epoch", "accuracy", "val_accuracy"],
)


@pytest.fixture
def named():
    return table().assign(name=lambda rows: rows["layer"].map(dict(enumerate(NAMES))))


def test_the_plane(named):
    texts = [text.get_text() for text in plane(named, False, "").axes[0].texts]

    assert texts == ["ceiling", *LABELS]
    unnamed = plane(table(), False, "").axes[0].texts
    assert [text.get_text() for text in unnamed] == ["ceiling"]


def test_the_movie(named):
    legend = movie(named, METRICS).figure.axes[0].get_legend()

    assert [text.get_text() for text in legend.get_texts()] == LABELS


def test_the_interactive_page(named):
    html = page({TableName("", "train"): named}, METRICS, False).html

    assert '"labels":["0: block.dense","1: block.dense_2","2: lstm","3: readout"]' in html


def test_the_ticks_of_an_axis_of_layers(named):
    axes = compression(named, False).axes[1]

    assert [label.get_text() for label in axes.get_xticklabels()] == LABELS


def test_tables_of_earlier_versions_have_numbers_or_the_names_that_they_had():
    without = read_table(b"run,epoch,layer,MI_XM\n0,0,0,1.5\n0,0,1,1.0\n")
    otherwise = read_table(b"run,epoch,layer,layer_name,value\n0,0,0,dense,1.5\n0,0,-1,total,1\n")

    assert without.columns.tolist() == ["run", "epoch", "layer", "name", "MI_XM"]
    assert layer_labels(without) == {0: "0", 1: "1"}
    assert layer_labels(otherwise) == {-1: "total", 0: "0: dense"}
