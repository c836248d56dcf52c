"""No estimator drifts from the errors that the documentation states."""

import json

import numpy as np
import pytest

from benchmarks.estimator_accuracy import (
    RECORD,
    REPEATS,
    SHORT,
    as_markdown,
    errors_over_sizes,
    measure,
    methods,
    record_of,
)
from benchmarks.known_information import problems

TOLERANCE = 0.01  # bits; rounding differs from machine to machine


@pytest.fixture(scope="module")
def table():
    return measure([SHORT], REPEATS)


@pytest.mark.slow
def test_every_estimate_is_as_recorded(table):
    recorded = json.loads(RECORD.read_text())
    found = record_of(table)

    assert list(found) == list(recorded) == [problem.name for problem in problems()]
    for problem, of_methods in recorded.items():
        for method, value in of_methods.items():
            if value is None:
                assert found[problem][method] is None, (problem, method)
            else:
                assert found[problem][method] == pytest.approx(value, abs=TOLERANCE), (
                    problem,
                    method,
                )


def test_every_estimator_of_the_project_is_tried(table):
    tried = {name.split(" ")[0].rstrip(",") for name in methods()}

    assert tried >= {
        "binning",
        "binning_global",
        "binning_adaptive",
        "upper",
        "lower",
        "noisy",
        "exact",
        "kraskov",
        "edge",
        "edge_published",
        "renyi",
    }


def test_the_table_has_a_row_for_each_problem(table):
    lines = as_markdown(table, SHORT).splitlines()

    assert sum(line.startswith("|") for line in lines) == len(problems()) + 3
    assert "| invertible map | ∞ |" in as_markdown(table, SHORT)


def test_the_picture_has_a_panel_for_each_problem_with_a_finite_truth(table):
    figure = errors_over_sizes(table)

    finite = [problem for problem in problems() if np.isfinite(problem.truth)]
    titled = [axes for axes in figure.axes if axes.get_title()]
    assert len(titled) == len(finite)
