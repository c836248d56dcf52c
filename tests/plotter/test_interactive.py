"""The interactive plane: what is in its file, and what a browser without network makes of it."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from chromium import chromium

from deep_bottleneck.interfaces import Results, TableName
from deep_bottleneck.plotter import interactive

EPOCHS = [0, 1, 5, 20, 300]
WAIT_SECONDS = 30


def table(part, seed=0, estimator="binning", n_runs=3, epochs=EPOCHS, n_layers=4):
    generator = np.random.default_rng(seed)
    rows = [
        (run, epoch, layer, 8 - layer + generator.random(), generator.random())
        for run in range(n_runs)
        for epoch in epochs
        for layer in range(n_layers)
    ]
    frame = pd.DataFrame(rows, columns=["run", "epoch", "layer", "MI_XM", "MI_YM"])
    return frame.assign(
        estimator=estimator,
        parameter="bin width 0.07",
        bounds="estimate",
        geometric=True,
        part=part,
        n_examples=4096,
        ceiling=12.0,
    )


def metrics(n_runs=3, last=EPOCHS[-1]):
    rows = [
        (run, epoch, 0.5 + 0.001 * epoch + 0.01 * run, 0.4 + 0.001 * epoch)
        for run in range(n_runs)
        for epoch in range(last + 1)
    ]
    return pd.DataFrame(rows, columns=["run", "epoch", "accuracy", "val_accuracy"])


def written(tables, plot_median=False, measured=None):
    results = Results(tables, metrics() if measured is None else measured, plot_median)
    ((name, page),) = interactive.load().plot(results).items()
    return name, page


def values(page):
    (text,) = re.findall(r'id="data">(.*?)</script>', page.html)
    return json.loads(text)


@pytest.fixture
def two_parts():
    return {
        TableName("", "train"): table("train"),
        TableName("", "test"): table("test", seed=1),
    }


def test_one_page_with_all_values_by_epoch_run_and_layer(two_parts):
    name, page = written(two_parts)

    assert name == "infoplane_interactive"
    found = values(page)
    assert (found["epochs"], found["runs"], len(found["layers"])) == (EPOCHS, [0, 1, 2], 4)
    assert found["summary"] == "mean"
    (estimator,) = found["estimators"]
    assert estimator["name"] == "binning"
    for part, data in two_parts.items():
        of_part = estimator["parts"][part]
        expected = data.sort_values(["epoch", "run", "layer"])
        np.testing.assert_allclose(np.ravel(of_part["x"]), expected["MI_XM"], atol=1e-4)
        np.testing.assert_allclose(np.ravel(of_part["y"]), expected["MI_YM"], atol=1e-4)
        assert of_part["ceiling"] == 12
        name = {"train": "training", "test": "test"}[part]
        assert f"4096 {name} examples; compression is geometric" in of_part["description"]
    np.testing.assert_allclose(found["accuracy"]["train"][3], [0.52, 0.53, 0.54])
    np.testing.assert_allclose(found["accuracy"]["test"][3], 0.42)


def test_several_estimators_are_on_one_page_that_carries_their_names():
    tables = {
        TableName(name, "test"): table("test", estimator=name) for name in ("binning", "kraskov")
    }

    name, page = written(tables)

    assert name == "infoplane_interactive_binning_kraskov"
    assert [estimator["name"] for estimator in values(page)["estimators"]] == ["binning", "kraskov"]


def test_what_is_missing_is_null():
    data = table("test").query("run != 1 or epoch < 20")
    data.loc[0, "MI_XM"] = np.nan

    found = values(written({TableName("", "test"): data}, measured=metrics(n_runs=2))[1])

    of_test = found["estimators"][0]["parts"]["test"]
    assert of_test["x"][0][0][0] is None
    assert of_test["y"][-1][1] == [None] * 4
    assert found["accuracy"]["train"][0][2] is None


def test_names_cannot_end_the_script():
    page = written({TableName("", "test"): table("test", estimator="</script><b>")})[1]

    assert "</script><b>" not in page.html
    assert values(page)["estimators"][0]["name"] == "</script><b>"


def test_nothing_measured_is_no_page():
    assert interactive.load().plot(Results({}, metrics())) == {}
    assert (
        interactive.load().plot(Results({TableName("", "test"): table("test")[:0]}, metrics()))
        == {}
    )


def test_a_long_experiment_is_a_small_file(tmp_path):
    epochs = range(250)
    tables = {
        TableName("", part): table(part, n_runs=5, epochs=epochs, n_layers=6)
        for part in ("train", "test")
    }

    written(tables)[1].save(tmp_path / "page.html")

    assert (tmp_path / "page.html").stat().st_size < 3e6


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


class Opened:
    """A page in the browser."""

    def __init__(self, browser, page, path):
        page.save(path)
        self.browser = browser
        browser.get(path.as_uri())
        self.wait(lambda: browser.execute_script("return document.body.dataset.ready") == "yes")

    def wait(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, WAIT_SECONDS).until(lambda _: condition())

    def find(self, selector):
        return self.browser.find_element("css selector", selector)

    def choose(self, name, text):
        from selenium.webdriver.support.ui import Select

        Select(self.find(f"#{name}")).select_by_visible_text(text)

    def press(self, name, *keys):
        self.find(f"#{name}").send_keys(*keys)

    @property
    def points(self):
        """What is drawn in the plane: by layer the points of each run, (layers, runs, 2)."""
        return np.array(
            self.browser.execute_script(
                "return document.getElementById('plot').data"
                ".filter(trace => trace.mode === 'markers')"
                ".map(trace => trace.x.map((x, run) => [x, trace.y[run]]))"
            )
        )

    @property
    def places(self):
        """Where the points are on the screen."""
        found = self.browser.find_elements("css selector", ".cartesianlayer .subplot.xy .point")
        return [(point.rect["x"], point.rect["y"]) for point in found]

    @property
    def state(self):
        return self.find("#state").text

    @property
    def complaints(self):
        return self.browser.get_log("browser")


@pytest.fixture
def opened(browser, tmp_path, two_parts):
    return Opened(browser, written(two_parts)[1], tmp_path / "page.html")


def expected(data, epoch, summary="mean"):
    """(layers, 1, 2)."""
    chosen = data[data["epoch"] == epoch].groupby("layer")[["MI_XM", "MI_YM"]].agg(summary)
    return chosen.to_numpy()[:, None]


def test_the_page_opens_without_network_and_without_complaints(opened, two_parts):
    np.testing.assert_allclose(opened.points, expected(two_parts["train"], 0), atol=1e-4)
    assert len(opened.places) == 4
    assert opened.state == "epoch 0, accuracy 0.510 (train), 0.400 (test)"
    assert (
        "binning, bin width 0.07 (estimate), 4096 training examples" in opened.find("#method").text
    )
    assert not opened.find("#estimator").is_displayed()
    assert opened.complaints == []


def test_the_slider_moves_the_points(opened, two_parts):
    before = opened.places

    opened.press("epoch", "\ue014", "\ue014")  # the right arrow key, twice

    np.testing.assert_allclose(opened.points, expected(two_parts["train"], 5), atol=1e-4)
    assert opened.state.startswith("epoch 5,")
    opened.wait(lambda: all(new != old for new, old in zip(opened.places, before, strict=True)))
    assert opened.complaints == []


def test_play_goes_on_to_the_last_epoch_and_stops(opened, two_parts):
    button = opened.find("#play")
    button.click()
    assert button.text == "Pause"

    opened.wait(lambda: button.text == "Play")

    assert opened.state.startswith("epoch 300,")
    np.testing.assert_allclose(opened.points, expected(two_parts["train"], 300), atol=1e-4)
    assert opened.complaints == []


def test_parts_and_single_runs_can_be_chosen(opened, two_parts):
    opened.press("epoch", "\ue014")
    opened.choose("part", "test")
    np.testing.assert_allclose(opened.points, expected(two_parts["test"], 1), atol=1e-4)
    assert "4096 test examples" in opened.find("#method").text

    opened.choose("runs", "each run")
    data = two_parts["test"].query("epoch == 1").sort_values(["layer", "run"])
    single = data[["MI_XM", "MI_YM"]].to_numpy().reshape(4, 3, 2)
    np.testing.assert_allclose(opened.points, single, atol=1e-4)
    assert len(opened.places) == 12
    assert opened.complaints == []


def test_the_pointer_on_a_point_says_all_about_it(opened, two_parts):
    from selenium.webdriver import ActionChains

    opened.choose("runs", "each run")
    opened.press("epoch", "\ue014")
    point = opened.browser.find_elements("css selector", ".subplot.xy .scatterlayer .point")[0]
    ActionChains(opened.browser).move_to_element(point).perform()
    opened.wait(lambda: opened.browser.find_elements("css selector", ".hoverlayer .hovertext"))

    text = opened.find(".hoverlayer .hovertext").text
    row = two_parts["train"].query("run == 0 and epoch == 1 and layer == 0").iloc[0]
    for said in (
        "run 0",
        "layer 0",
        "epoch 1",
        f"I(X;M) {row['MI_XM']:.3f} bits",
        f"I(Y;M) {row['MI_YM']:.3f} bits",
        "accuracy 0.5010 (train), 0.4010 (test)",
    ):
        assert said in text


def test_estimators_can_be_chosen_and_medians_shown(browser, tmp_path):
    tables = {
        TableName(name, "test"): table("test", seed, name)
        for seed, name in enumerate(["binning", "edge"])
    }
    opened = Opened(browser, written(tables, plot_median=True)[1], tmp_path / "page.html")

    opened.choose("estimator", "edge")

    np.testing.assert_allclose(opened.points, expected(tables["edge_test"], 0, "median"), atol=1e-4)
    assert not opened.find("#part").is_displayed()
    assert opened.complaints == []


def test_a_page_with_gaps_opens(browser, tmp_path):
    data = table("test", n_runs=1).assign(MI_XM=np.nan)
    opened = Opened(browser, written({TableName("", "test"): data})[1], tmp_path / "page.html")

    assert opened.places == []
    assert opened.complaints == []
