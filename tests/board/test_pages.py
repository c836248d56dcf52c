"""The board in a browser, over the same four experiments in a folder and in a database."""

import json
from datetime import UTC, datetime

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait
from stored_experiments import CONFIGS, measures

from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.interfaces import Results, Status, TableName
from deep_bottleneck.plotter import interactive
from deep_bottleneck.storage.folder_store import FolderStore

WAIT_SECONDS = 30


class Board:
    """What a person does with the pages, and sees there."""

    def __init__(self, browser, address):
        self.browser = browser
        self.address = address
        # those of the last test
        browser.get_log("browser")
        self.open("/")

    def open(self, path):
        self.browser.get(self.address + path)

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def follow(self, selector):
        """Click on what leads to another page, and wait until that is there."""
        self.browser.execute_script("window.isLeft = true")
        self.find(selector).click()
        there = "return !window.isLeft && document.readyState === 'complete'"
        self.wait(lambda: self.browser.execute_script(there))

    def wait(self, condition):
        # the driver stumbles where it is asked while one page gives way to the next
        waiting = WebDriverWait(self.browser, WAIT_SECONDS, ignored_exceptions=[WebDriverException])
        waiting.until(lambda _: condition())

    def column(self, number):
        return [cell.text for cell in self.all(f"#experiments td:nth-child({number})")]

    def show(self, **values):
        for name, value in values.items():
            field = self.find(f"#search [name={name}]")
            field.clear()
            field.send_keys(value)
        self.follow("#search button")

    def pictures_are_drawn(self):
        """Pictures that are out of sight are not asked for."""
        script = (
            "return [...document.images].filter(image => image.loading !== 'lazy')"
            ".map(image => image.complete && image.naturalWidth > 0)"
        )
        self.wait(lambda: all(self.browser.execute_script(script)))

    @property
    def ids(self):
        return self.column(2)

    @property
    def complaints(self):
        return self.browser.get_log("browser")


@pytest.fixture
def board(browser, serve, loader):
    return Board(browser, serve(loader))


def test_the_table_shows_what_differs_newest_first(board):
    head = [cell.text for cell in board.all("#experiments th")]

    assert head[1:] == [
        "id ▼", "status", "start_time", "activation_fn", "epochs", "nested.depth", "result.train",
        "result.test", "tags",
    ]  # fmt: skip
    assert board.ids == ["4", "3", "2", "1"]
    assert board.column(3) == ["FAILED", "COMPLETED", "COMPLETED", "COMPLETED"]
    assert board.column(5) == ["fails", "relu", "tanh", "tanh"]
    assert board.complaints == []


def test_it_is_sorted_filtered_and_given_columns(board):
    board.follow("#experiments th:nth-child(5) a")
    assert board.column(5) == ["tanh", "tanh", "relu", "fails"]
    board.follow("#experiments th:nth-child(5) a")
    assert board.column(5) == ["fails", "relu", "tanh", "tanh"]

    board.show(filter="epochs>=20", columns="test.accuracy seed")
    assert board.ids == ["4", "3"]
    head = [cell.text for cell in board.all("#experiments th")]
    assert board.column(1 + head.index("test.accuracy")) == ["0.5", "0.5"]
    assert board.column(1 + head.index("seed")) == ["4", "3"]
    Select(board.find("#search [name=status]")).select_by_visible_text("FAILED")
    board.follow("#search button")
    assert board.ids == ["4"]
    assert board.find("#found").text == "1 experiment"
    assert board.complaints == []


def test_a_filter_that_cannot_be_read_is_one_sentence(board):
    board.show(filter="epochs")

    assert '"epochs" is no condition: write a key, one of =' in board.find("#problem").text


def test_the_selected_are_compared(board):
    for experiment_id in (1, 3):
        board.find(f"#experiments [value='{experiment_id}']").click()
    board.follow("#compare")

    rows = [row.text for row in board.all("#differing tr")]
    assert rows == [
        "1 3",
        "activation_fn tanh relu",
        "epochs 10 20",
        "nested.depth 1 2",
        "seed 1 3",
    ]
    assert [i.get_attribute("alt") for i in board.all("#curves img")] == ["accuracy", "loss"]
    board.pictures_are_drawn()
    assert board.complaints == []


def test_an_experiment_has_config_curves_pictures_and_its_page(board):
    board.follow("#experiments tbody tr:last-child a")

    assert board.find("h1").text == "Experiment 1: deep-bottleneck"
    board.find("details summary").click()
    assert "nested.depth 1" in board.find("#config").text
    assert [i.get_attribute("alt") for i in board.all("#curves img")] == ["accuracy", "loss"]
    board.browser.execute_script("document.images[2].scrollIntoView()")
    board.wait(lambda: board.browser.execute_script("return document.images[2].naturalWidth > 0"))
    board.pictures_are_drawn()
    assert not board.all("form.edit")

    board.browser.switch_to.frame(board.find("iframe"))
    assert board.find("p").text == "a page"
    # it has no way to the board around it
    assert board.browser.execute_script("return window.origin") == "null"
    board.browser.switch_to.default_content()
    assert board.complaints == []


@pytest.fixture
def interactive_page(tmp_path):
    table = measures(CONFIGS[0]).assign(
        bounds="estimate", geometric=True, part="test", n_examples=20, ceiling=5.0
    )
    accuracy = table[["run", "epoch"]].drop_duplicates().assign(accuracy=0.5, val_accuracy=0.5)
    ((name, page),) = (
        interactive.load().plot(Results({TableName("", "test"): table}, accuracy)).items()
    )
    page.save(tmp_path / f"{name}.html")
    return tmp_path / f"{name}.html"


def test_the_interactive_plane_works_on_the_page_of_its_experiment(board, loader, interactive_page):
    loader.find_by_id(3).attach("infoplane_interactive", interactive_page)

    board.open("/experiments/3")
    frame = board.find("iframe[title=infoplane_interactive]")
    board.browser.execute_script("arguments[0].scrollIntoView()", frame)
    board.browser.switch_to.frame(frame)

    board.wait(lambda: len(board.all(".subplot.xy .point")) == 3)
    board.find("#epoch").send_keys("\ue014")  # the right arrow key
    board.wait(lambda: board.find("#state").text.startswith("epoch 5,"))
    board.browser.switch_to.default_content()
    assert board.complaints == []


def test_a_stored_page_cannot_leave_its_frame(board, loader, tmp_path):
    leaving = tmp_path / "leaving.html"
    leaving.write_text(
        "<p>stays</p><script>document.title = 'ran';"
        "try { top.location = 'http://127.0.0.1:1/' } catch { }"
        "location = 'http://127.0.0.1:1/?taken=along'</script>"
    )
    loader.find_by_id(3).attach("leaving", leaving)

    board.open("/experiments/3/files/leaving")

    assert board.find("h1").text == "Experiment 3: leaving"
    board.wait(lambda: any("frame-src" in said["message"] for said in board.complaints))
    assert board.browser.current_url.endswith("/experiments/3/files/leaving")


def test_what_is_not_there_is_one_sentence(board):
    board.open("/experiments/17")
    assert "There is no experiment 17 in" in board.find("#problem").text
    board.open("/experiments/1/files/nothing")
    assert board.find("#problem").text == "Experiment 1 has no artifact nothing"
    board.open("/compare")
    assert "No experiment is selected" in board.find("#problem").text


class Running:
    """Experiment 2, as a process that still runs would leave it in a store."""

    def __init__(self, store):
        self.store = store
        self.local = isinstance(store, FolderStore)

    def note(self, **values):
        if self.local:
            self.rewrite("run.json", self.store.document(2) | values)
        else:
            self.store.update(2, values)

    def log(self, n_epochs):
        steps = list(range(n_epochs))
        metric = {"steps": steps, "values": steps, "timestamps": [datetime(2026, 1, 1)] * n_epochs}
        metrics = {"training.loss": metric, "test.accuracy": metric}
        if self.local:
            self.rewrite("metrics.json", metrics)
        else:
            self.store.put_metrics(2, metrics)

    def rewrite(self, name, content):
        (self.store.folder / "2" / name).write_text(json.dumps(content, default=str))


@pytest.fixture
def running(loader):
    before = loader.store.document(2)
    running = Running(loader.store)
    running.log(4)
    running.note(status=Status.RUNNING, heartbeat=datetime.now(UTC).replace(tzinfo=None))
    yield running
    running.log(10)
    running.note(status=before["status"], heartbeat=before["heartbeat"])


def test_a_running_experiment_shows_how_far_it_is_until_it_ends(board, running):
    board.open("/")
    bar = board.find(".progress")
    assert bar.text == "4 of 10 epochs"

    running.log(7)
    board.wait(lambda: bar.text == "7 of 10 epochs")
    assert board.find("progress").get_attribute("value") == "7"

    running.note(status="COMPLETED")
    board.wait(lambda: not board.all(".progress"))
    board.wait(lambda: board.column(3) == ["FAILED", "COMPLETED", "COMPLETED", "COMPLETED"])
    assert board.complaints == []


@pytest.fixture
def editable(browser, serve, loader):
    return Board(browser, serve(loader, allow_edit=True))


def test_tags_are_given_once_confirmed(editable, loader):
    editable.open("/experiments/2")
    editable.find("[name=tags]").send_keys("good, seen")
    editable.follow("#tag")
    assert editable.find("#question").text == "Let the tags of experiment 2 be: good, seen?"
    assert loader.find_by_id(2).tags == ()

    editable.follow("#confirm")

    assert editable.find("#tags").text == "good, seen"
    assert loader.find_by_id(2).tags == ("good", "seen")
    assert loader.find(tags="good").ids == [2]
    editable.open("/?filter=tags%3Dgood")
    assert editable.ids == ["2"]
    loader.find_by_id(2).tag()


def test_an_experiment_is_deleted_once_confirmed(editable, place, tmp_path):
    loader = ExperimentLoader(**place)
    editable.open("/experiments/4")
    editable.follow("#delete")
    assert "Delete experiment 4 with its metrics" in editable.find("#question").text
    assert loader.find_all().ids == [1, 2, 3, 4]

    editable.follow("#confirm")

    assert editable.ids == ["3", "2", "1"]
    assert loader.find_all().ids == [1, 2, 3]


def test_a_running_experiment_is_not_deleted(editable, running, loader):
    editable.open("/experiments/2")
    editable.follow("#delete")

    assert "it can be deleted once it has ended" in editable.find("#problem").text
    assert loader.find_by_id(2).status == Status.RUNNING
