"""The arrows between folders point one way."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "deep_bottleneck"
FILES = sorted(PACKAGE.rglob("*.py"))
PAGE = PACKAGE.parent / "docs" / "architecture.md"
PLUG_INS = ("datasets", "models", "mi_estimator", "callbacks", "plotter", "launchers")
# from the ground up: a folder or module of the package's root imports of the floors below it alone
FLOORS = (
    ("interfaces", "errors"),
    ("information",),
    ("config", "machine"),
    ("similarity", "state_space", "causal", "gradient_noise"),
    ("storage", "mi_estimator", "datasets", "models"),
    ("training",),
    ("measuring",),
    ("callbacks", "plotter"),
    ("eval_tools",),
    ("pipeline",),
    ("launching",),
    ("launchers", "board", "report", "artifact_viewer"),
)
# the same inside a folder, "" being its own modules; its __main__ may use all
NESTED = {
    "causal": ("injection", "network", ""),
    "launching": ("", "cluster"),
    "storage": ("", "observers", "moving"),
}
# what finds, shows and draws reads stores and tables, and nothing of how they came about
READERS = {
    "plotter": {"similarity", "storage", "measuring"},
    "eval_tools": {"machine", "storage", "measuring", "plotter"},
    "board": {"storage", "plotter", "eval_tools"},
    "report": {"storage", "eval_tools"},
    "artifact_viewer": {"storage", "eval_tools"},
}
TABLES_ALONE = {"tables"}
WORDS = {"interfaces", "errors"}
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}
KNOWS_SACRED = "storage/observers"
# what works where these are not installed
LIGHT = ("information", "similarity", "state_space", "causal", "gradient_noise", "measuring")
HEAVY = {"sacred", "pymongo", "flask"}


def imports(path: Path) -> set[str]:
    """All modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def ours(path: Path) -> set[str]:
    prefix = "deep_bottleneck."
    return {name.removeprefix(prefix) for name in imports(path) if name.startswith(prefix)}


def room_of(name: str) -> str:
    return name.partition(".")[0]


def against_the_floors(room: str, used: set[str]) -> set[str]:
    """Which of the modules that a room uses lie on its own floor, or above it."""
    return {
        name for name in used if room_of(name) != room and FLOOR_OF[room_of(name)] >= FLOOR_OF[room]
    }


def nested_floor(room: str, name: str) -> int:
    """On which floor inside its folder a module lies, named as from the package."""
    inside = name.removeprefix(f"{room}.").partition(".")[0]
    floors = NESTED[room]
    return floors.index(inside if inside in floors else "")


def against_the_nested_floors(room: str, name: str, used: set[str]) -> set[str]:
    """Which modules of its own folder a module uses that lie on a floor above it."""
    own = {other for other in used if room_of(other) == room}
    return {other for other in own if nested_floor(room, other) > nested_floor(room, name)}


def test_every_room_has_a_floor():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}

    assert rooms - {"__init__", "__pycache__"} == set(FLOOR_OF)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_down(path):
    relative = path.relative_to(PACKAGE)
    room, used = relative.with_suffix("").parts[0], ours(path)
    if room == "__init__":
        return

    assert not against_the_floors(room, used)
    if room == "interfaces":
        assert not used
    if room in PLUG_INS:
        assert not {room_of(name) for name in used} & (set(PLUG_INS) - {room})
    if room in READERS:
        others = {room_of(name) for name in used} - {room}
        assert others - WORDS <= READERS[room]
        of_measuring = {name for name in used if name.startswith("measuring.")}
        assert {name.split(".")[1] for name in of_measuring} <= TABLES_ALONE
    if KNOWS_SACRED not in relative.as_posix():
        assert "sacred" not in {room_of(name) for name in imports(path)}
    if room in LIGHT:
        assert not HEAVY & {room_of(name) for name in imports(path)}


def rows_below(title: str) -> list[list[str]]:
    """The rows of the table of the page on the architecture with this title row."""
    _, _, after = PAGE.read_text().partition(f"{title}\n")
    table = after.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def names_in(cell: str) -> set[str]:
    return set(re.findall(r"`([\w.]+)`", cell))


def test_the_page_on_the_architecture_shows_every_floor():
    shown = rows_below("| floor | rooms | what is done there |")

    floors = [(int(number), names_in(rooms)) for number, rooms, _ in shown]
    assert floors == [(n, set(FLOORS[n - 1])) for n in range(len(FLOORS), 0, -1)]


def test_the_page_on_the_architecture_shows_every_arrow():
    shown = rows_below("| room | imports from |")

    used: dict[str, set[str]] = {room: set() for room in FLOOR_OF}
    for path in FILES:
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if room != "__init__":
            used[room] |= {room_of(name) for name in ours(path)} - {room}
    assert {names_in(room).pop(): names_in(others) for room, others in shown} == used


@pytest.mark.parametrize("room", NESTED)
def test_arrows_point_down_inside_a_folder(room):
    inside = {path.name for path in (PACKAGE / room).iterdir() if any(path.glob("*.py"))}
    assert inside | {""} == set(NESTED[room])

    for path in (PACKAGE / room).rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if name != f"{room}.__main__":
            assert not against_the_nested_floors(room, name, ours(path)), path


def test_an_arrow_up_inside_a_folder_is_found():
    used = {"causal.network.layers", "causal.injection.edges", "causal.plane", "errors"}

    assert against_the_nested_floors("causal", "causal.network.kinds", used) == {"causal.plane"}


@pytest.mark.parametrize(
    ("room", "name"), [("measuring", "pipeline.run"), ("config", "machine.device")]
)
def test_an_arrow_up_or_aside_is_found(room, name):
    assert against_the_floors(room, {name, "interfaces"}) == {name}
