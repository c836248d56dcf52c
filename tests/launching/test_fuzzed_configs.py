"""Configs as nobody should write them: each ends with exit status 0 or 2, in time, and in words."""

import contextlib
import io
import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import run_experiments
from deep_bottleneck.config import Config

DEFAULTS = Config.parse({}).defaults()
SMALL = {"epochs": 2, "architecture": [3], "plotters": []}
PATHS = [
    "mi_estimator.binning", "mi_estimator.kraskov", "plotter.informationplane",
    "callbacks.gradient_noise", "datasets.harmonics", "models.feedforward", "keras.layers.Dense",
    "keras.callbacks.EarlyStopping", "json", "os.path", "", ".", "..a", "a..b", "a b", "\0",
]  # fmt: skip
NUMBERS = [0, -1, 2**31, 2**64, 10**30, 1e308, -1e308, 5e-324, float("nan"), float("inf"), 0.5]
TEXTS = ["", "\0", "\ud800", "true", "cpu", "cuda:99", "relu", "x" * 300, "../..", "{{x}}", "%s"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from([*NUMBERS, *TEXTS, *PATHS]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(list(DEFAULTS)), inner, max_size=3)
    ),
    max_leaves=5,
)
keys = st.sampled_from([*DEFAULTS, "seed"])
dotted = st.one_of(keys, st.builds("{}.{}".format, keys, st.text(max_size=4)), st.text(max_size=5))
paths = st.sampled_from(PATHS)
entries = st.one_of(
    paths,
    st.tuples(paths, st.sampled_from(NUMBERS)),
    st.tuples(paths, st.lists(scalars, max_size=2), st.dictionaries(st.text(max_size=4), scalars)),
    values,
)
varied = st.dictionaries(dotted, st.lists(values, max_size=3) | values, max_size=3)
options = st.sampled_from(["n_train", "n_test", "classes", "label_noise", "flat"])
special = {
    "extends": st.sampled_from(
        ["base.json", "fuzzed.json", "nowhere.json", ".", "a\0b", "x" * 5000]
    )
    | values,
    "grid": varied | values,
    "zip": varied | values,
    "estimator": entries | st.lists(entries, max_size=3),
    "callbacks": st.lists(entries, max_size=3),
    "plotters": st.lists(entries, max_size=3),
    "dataset_options": st.dictionaries(options, values, max_size=3),
    "discretization_range": st.sampled_from([*NUMBERS, 3, 30, 0.07, 1e38, 1e-38]),
    "n_runs": st.sampled_from([1, 3, 10**7]),
    "model": paths,
    "dataset": paths,
    "architecture": st.lists(st.sampled_from([1, 3, 10**7, 0, -1, 1.0, True]), max_size=4),
}
mutations = st.lists(
    st.one_of(
        st.tuples(st.one_of(keys, st.text(max_size=5)), values),
        *(st.tuples(st.just(key), strategy) for key, strategy in special.items()),
    ),
    max_size=3,
)
texts = mutations.map(lambda pairs: json.dumps({**SMALL, **dict(pairs)}))
whole = texts.map(str.encode)
damaged = st.one_of(
    *([whole] * 6),
    st.tuples(texts, st.integers(0, 400)).map(lambda cut: cut[0][: cut[1]].encode()),
    st.tuples(texts, st.sampled_from(["utf-8-sig", "utf-16", "utf-32"])).map(
        lambda written: written[0].encode(written[1])
    ),
    st.binary(max_size=30),
)
literals = st.text("[]{}()-+*'\"0123456789ej.,:= abTrueFalsNon\\\0\n", max_size=20)
updates = st.lists(
    st.one_of(
        st.builds("{}={}".format, dotted, literals | values.map(str)),
        st.sampled_from(
            ["epochs=" + "-" * 5000 + "1", "x={[]:1}", "epochs=" + "(" * 300, "epochs"]
        ),
    ).filter(lambda update: not update.startswith("-")),
    max_size=2,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "base.json").write_text(json.dumps({**SMALL, "grid": {"seed": [1, 2]}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEP_BOTTLENECK_RUNS", str(folder / "runs"))
        patch.setenv("DEEP_BOTTLENECK_OUTPUT", str(folder / "output"))
        yield folder


@pytest.mark.parametrize(
    "number", [25, pytest.param(1000, marks=pytest.mark.slow)], ids=["few", "thousand"]
)
def test_every_config_is_taken_or_refused_in_words(folder, record_property, number):
    path = folder / "fuzzed.json"
    ends = Counter()

    @settings(
        max_examples=number,
        deadline=20_000,
        derandomize=number < 100,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged, updates)
    def dry_run(content, updates):
        path.write_bytes(content)
        said, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
            try:
                status = run_experiments.main(["-d", str(path), "--dry-run", *updates])
            except SystemExit as end:
                status = end.code
        ends[status] += 1
        assert status in (0, 2)
        assert "Traceback" not in said.getvalue() + errors.getvalue()
        assert said.getvalue() or errors.getvalue().startswith(("error: ", "usage: "))

    dry_run()
    record_property("configs", f"{ends[0]} taken (exit status 0), {ends[2]} refused (2)")
