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
    ("pipeline", "watching"),
    ("launching",),
    ("launchers", "board", "report", "artifact_viewer"),
    ("__main__",),
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
LIGHT = (
    *("information", "similarity", "state_space", "causal", "gradient_noise", "measuring"),
    "watching",
)
HEAVY = {"sacred", "pymongo", "flask"}
# with these, whoever has written a file or an address says what a program does
RUN_WHAT_IS_READ = {
    *("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"),
    *(
        "eval",
        "exec",
        "os.system",
        "os.popen",
        "torch.load",
        "pd.read_pickle",
        "pandas.read_pickle",
    ),
    *("keras.models.load_model", "keras.saving.load_model"),
}
SAID_WITH = {"shell", "allow_pickle", "enable_unsafe_deserialization"}
LONGEST_FUNCTION, MOST_ARGUMENTS = 60, 6
# what deep-ei's functions, and Sacred's events, take by place
GIVEN_INTERFACES = {"causal/measures.py", "storage/observers/mongo_record.py"}


def imports(program: str) -> set[str]:
    """All modules that a program imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def ours(path: Path) -> set[str]:
    prefix = "deep_bottleneck."
    return {
        name.removeprefix(prefix) for name in imports(path.read_text()) if name.startswith(prefix)
    }


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
        assert "sacred" not in {room_of(name) for name in imports(path.read_text())}
    if room in LIGHT:
        assert not HEAVY & {room_of(name) for name in imports(path.read_text())}


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


def functions(path: Path) -> list[ast.FunctionDef]:
    return [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)
    ]


def lines_of_code(function: ast.FunctionDef) -> int:
    """How long a function is, but for its docstring."""
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    said = first.end_lineno - first.lineno + 1 if is_docstring else 0
    return function.end_lineno - function.lineno + 1 - said


def positional(function: ast.FunctionDef) -> int:
    """How many arguments can be told apart by their place alone."""
    return len([argument for argument in function.args.args if argument.arg not in ("self", "cls")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_are_short_and_their_arguments_few(path):
    relative = path.relative_to(PACKAGE).as_posix()
    for function in functions(path):
        assert lines_of_code(function) <= LONGEST_FUNCTION, function.name
        # plug-ins are given arguments by name
        if relative not in GIVEN_INTERFACES and function.name != "load":
            assert positional(function) <= MOST_ARGUMENTS, function.name


def that_run_what_they_read(program: str) -> set[str]:
    """What a program imports, calls or says that makes data run."""
    tree = ast.parse(program)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func) for call in calls} | imports(program)
    said = {word.arg for call in calls for word in call.keywords}
    return (names & RUN_WHAT_IS_READ) | (said & SAID_WITH)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_runs_what_it_reads(path):
    assert not that_run_what_they_read(path.read_text())


@pytest.mark.parametrize(
    "program",
    [
        "from pickle import loads",
        "def read(path):\n    import joblib\n",
        "eval(text)",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(command, shell=True)",
    ],
)
def test_what_runs_what_it_reads_is_found(program):
    assert that_run_what_they_read(program)


@pytest.mark.parametrize(
    ("room", "name"), [("measuring", "pipeline.run"), ("config", "machine.device")]
)
def test_an_arrow_up_or_aside_is_found(room, name):
    assert against_the_floors(room, {name, "interfaces"}) == {name}


def test_no_two_files_of_tests_have_the_same_name():
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]

    assert sorted(names) == sorted(set(names))
