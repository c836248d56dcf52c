"""What an experiment used is cited, each work once."""

import importlib
import json
import pkgutil
import re
from pathlib import Path

import pytest
import yaml

import deep_bottleneck
from deep_bottleneck import __main__
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.launching.citation import bibtex

ROOT = Path(__file__).resolve().parents[2]
BIBLIOGRAPHY = (ROOT / "docs" / "references.bib").read_text()
KINDS = ("datasets", "models", "mi_estimator", "callbacks", "plotter")


def cited(text):
    return re.findall(r"^@\w+\{([^,]+),", text, re.M)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEEP_BOTTLENECK_RUNS", "runs")
    return tmp_path


def modules():
    for kind in KINDS:
        package = importlib.import_module(f"deep_bottleneck.{kind}")
        for found in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            if hasattr(module, "load"):
                yield pytest.param(module, id=f"{kind}.{found.name}")


@pytest.mark.parametrize("module", list(modules()))
def test_a_module_that_names_a_work_names_its_entry(module):
    keys = getattr(module, "REFERENCES", ())

    assert set(keys) <= set(cited(BIBLIOGRAPHY))
    if re.search(r"\b(19|20)\d\d\b", module.__doc__):
        assert keys


def test_a_config_and_its_record_are_cited_alike(elsewhere, capsys):
    values = {
        "dataset": "datasets.iris",
        "estimator": ["mi_estimator.kraskov", "mi_estimator.renyi"],
        "plotters": ["plotter.causal_plane", "plotter.snr"],
    }
    (elsewhere / "mine.json").write_text(json.dumps(values))
    (elsewhere / "runs" / "7").mkdir(parents=True)
    (elsewhere / "runs" / "7" / "config.json").write_text(json.dumps({**values, "seed": 3}))
    (elsewhere / "runs" / "7" / "run.json").write_text('{"status": "COMPLETED"}')

    assert __main__.main(["cite", "mine.json"]) == 0

    printed = capsys.readouterr().out
    keys = cited(printed)
    assert keys[0] == "deep-bottleneck"
    data_and_estimators = ["fisher1936", "kraskov2004", "ross2014", "giraldo2015", "yu2020"]
    assert keys[1:6] == data_and_estimators
    assert {"marrow2020", "shwartz-ziv2017"} <= set(keys[6:])
    assert len(set(keys)) == len(keys)
    assert "Physical Review E" in printed
    assert printed.count("{") == printed.count("}")
    assert bibtex("7") == printed
    with pytest.raises(ConfigError, match="8: no file or folder"):
        bibtex("8")


def test_the_citation_file_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())

    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["version"] == deep_bottleneck.__version__
    assert citation["license"] == "MIT"
    assert f"version = {{{citation['version']}}}" in bibtex("basic")
