"""What the documentation says as the code says it: Markdown made of configs, plug-ins, commands.

Pages put it in with the directive `from-code` of `conf.py`, as in

    ```{from-code} hyperparameters epochs batch_size
    ```
"""

import ast
import contextlib
import importlib
import inspect
import io
import json
import os
import pkgutil
import re
import runpy
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import deep_bottleneck
from deep_bottleneck.config import Config
from deep_bottleneck.config.dataset_options import DatasetOptions
from deep_bottleneck.measuring.estimators import ESTIMATOR_VALUES
from deep_bottleneck.pipeline import plan

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("datasets", "models", "mi_estimator", "callbacks", "plotter", "launchers")
# what the framework gives to the plug-ins whose config entry may have arguments
GIVEN: dict[str, Sequence[str]] = {
    "datasets": (),
    "mi_estimator": ESTIMATOR_VALUES,
    "callbacks": plan.CALLBACK_VALUES,
    "plotter": plan.PLOTTER_VALUES,
}
PARAMETER = "discretization_range"
COLUMNS = {
    "summary": "what it is",
    "parameter": f"`{PARAMETER}` is",
    "default": "such as",
    "failure": "how it fails",
}
WIDTH = "84"


def written(function: str, *words: str) -> str:
    """What a function of this module writes."""
    text: str = globals()[function](*words)
    return text


def hyperparameters(*keys: str) -> str:
    """A table of config keys with type, default and effect; of all where none is named."""
    described = Config.model_json_schema()["properties"]
    effects = {key: described[key]["description"] for key in keys or described}
    return _keys(Config.model_json_schema(), Config.parse({}).model_dump(mode="json"), effects)


def dataset_options() -> str:
    """A table of the options of the config key of this name."""
    effects = _section(inspect.getdoc(DatasetOptions) or "", "Attributes")
    return _keys(DatasetOptions.model_json_schema(), DatasetOptions().model_dump(), effects)


def components(kind: str) -> str:
    """Every plug-in of a kind, with its import path and what its docstrings say."""
    return "\n".join(_entry(kind, module) for module in plug_ins(kind))


def estimators(*columns: str) -> str:
    """A table of the estimators.

    Args:
        columns: what it says of each, out of `COLUMNS`.
    """
    titles = [COLUMNS[column] for column in columns]
    rows = [
        [_path("mi_estimator", module), *(_facts(module)[column] for column in columns)]
        for module in plug_ins("mi_estimator")
    ]
    return _table(["module", *titles], rows)


def plug_ins(kind: str) -> Iterator[ModuleType]:
    """The modules of a kind that have a `load`."""
    package = importlib.import_module(f"{deep_bottleneck.__name__}.{kind}")
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        if hasattr(module, "load"):
            yield module


def help_of(command: str, *subcommand: str) -> str:
    """What a command of the project says about itself.

    Args:
        command: a script, seen from the root of the project, or a module.
        subcommand: what stands before `--help`.
    """
    script = ROOT / command
    name = command
    if not script.exists():
        module = ROOT.joinpath(*command.split("."))
        script = module / "__main__.py" if module.is_dir() else module.with_suffix(".py")
        name = f"python -m {command}"
    printed = io.StringIO()
    with (
        mock.patch.object(sys, "argv", [name, *subcommand, "--help"]),
        mock.patch.dict(os.environ, COLUMNS=WIDTH),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        runpy.run_path(str(script), run_name="__main__")
    return f"```text\n{printed.getvalue()}```\n"


def benchmarks() -> str:
    """Every command in `benchmarks`, with its docstring and options."""
    commands = sorted(
        path.stem
        for path in (ROOT / "benchmarks").glob("*.py")
        if "argparse.ArgumentParser(" in path.read_text(encoding="utf-8")
    )
    return "\n".join(_benchmark(name) for name in commands)


def record_faults(what: str) -> str:
    """What the tests do to the files of a record, and what they hold its readers to.

    Args:
        what: "files", who says so when one cannot be read, or "readers", what they do then.
    """
    table = runpy.run_path(str(ROOT / "tests" / "faults" / "record_faults.py"))
    readers = table["READERS"]
    if what == "readers":
        return _table(["reader", "where it says so"], list(readers.items()))
    rows = []
    for name, said_by in table["SAID_BY"].items():
        said = ["says so" if reader in said_by else "as ever" for reader in readers]
        rows.append([f"`{name}`" if "." in name else name, *said])
    return _table(["file", *readers], rows)


def _benchmark(name: str) -> str:
    command = f"python -m benchmarks.{name}"
    source = (ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
    about = (ast.get_docstring(ast.parse(source)) or "").replace(f"\n\n{command}", "")
    _, _, options = help_of(f"benchmarks.{name}").removesuffix("```\n").partition("options:\n")
    own = re.sub(r"  -h, --help.*\n", "", options)
    block = f"\n\n```text\n{textwrap.dedent(own).strip()}\n```" if own.strip() else ""
    return _definition(f"`{command}`", about + block)


def _entry(kind: str, module: ModuleType) -> str:
    """A definition of a plug-in: what it is, what it needs, and the options of its entry."""
    documented = _documented(module)
    summary = re.split(r"^(?:Args|Raises|Returns):$", documented, flags=re.MULTILINE)[0]
    facts = _facts(module)
    parameter = f"`{PARAMETER}` is {facts['parameter']}, such as {facts['default']}."
    paragraphs = [
        inspect.getdoc(module) or "",
        summary.strip(),
        parameter if facts["default"] else "",
        " ".join(_needs(module)),
    ]
    paragraphs.append(_options(kind, module.load, _section(documented, "Args")))
    return _definition(_path(kind, module), "\n\n".join(filter(None, paragraphs)))


def _path(kind: str, module: ModuleType) -> str:
    return f"`{kind}.{module.__name__.rpartition('.')[2]}`"


def _summary(module: ModuleType) -> str:
    return (inspect.getdoc(module) or "").partition("\n")[0]


def _documented(module: ModuleType) -> str:
    """The docstring of its `load`."""
    return (inspect.getdoc(module.load) or "") if inspect.isfunction(module.load) else ""


def _needs(module: ModuleType) -> list[str]:
    needs = [
        f"Brings `{callback}` along." for callback in getattr(module, "NEEDED_TABLES", {}).values()
    ]
    if getattr(module, "NEEDS_ACTIVATIONS", False):
        needs.append("Looks at the recorded activations themselves.")
    return needs


def _facts(module: ModuleType) -> dict[str, str]:
    """What an estimator says of itself, by the columns of its table."""
    own = inspect.signature(module.load).parameters.get(PARAMETER)
    words = _section(_documented(module), "Args").get(PARAMETER, "see the source")
    failure = re.search(r"^How it fails: (.*?)(\n\n|\Z)", inspect.getdoc(module) or "", re.M | re.S)
    return {
        "summary": _summary(module),
        "parameter": words.removesuffix(".") if own else "none",
        "default": "" if own is None or own.default is own.empty else f"{own.default:g}",
        "failure": failure[1].removesuffix(".") if failure else "",
    }


def _options(kind: str, load: Callable[..., Any], described: Mapping[str, str]) -> str:
    """A list of the arguments that only an entry of the config can give."""
    return "\n".join(
        f"- `{p.name}`{_default(p)}: {described.get(p.name, 'see the source')}"
        for p in _own(kind, load)
    )


def _own(kind: str, load: Callable[..., Any]) -> list[inspect.Parameter]:
    """The arguments that only an entry of the config can give."""
    if kind not in GIVEN:
        return []
    given = {*Config.model_fields, *GIVEN[kind]}
    return [p for name, p in inspect.signature(load).parameters.items() if name not in given]


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return ""
    return f" (default `{json.dumps(parameter.default)}`)"


def _definition(term: str, paragraphs: str) -> str:
    return f"{term}\n: {textwrap.indent(paragraphs, '  ').strip()}\n"


def _section(docstring: str, title: str) -> dict[str, str]:
    """The items of a section of a docstring in Google's style, each in one line."""
    _, _, after = docstring.partition(f"{title}:\n")
    section = re.split(r"^\S", after, maxsplit=1, flags=re.MULTILINE)[0]
    items = re.findall(r"^    (\w+): (.*\n?(?:     .*\n?)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in items}


def _keys(
    schema: Mapping[str, Any], defaults: Mapping[str, Any], effects: Mapping[str, str]
) -> str:
    rows = []
    for key, effect in effects.items():
        type_ = in_words(schema["properties"][key], schema.get("$defs", {}))
        rows.append([f"`{key}`", type_, f"`{json.dumps(defaults[key])}`", effect])
    return _table(["key", "type", "default", "effect"], rows)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, each cell in one line."""
    lines = [titles, ["---"] * len(titles), *rows]
    cells = [[" ".join(cell.replace("|", r"\|").split()) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


def in_words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What values a JSON schema allows."""
    match schema:
        case {"$ref": reference}:
            about = definitions[reference.rpartition("/")[2]]["description"].partition("\n")[0]
            forms = re.findall(r"`.*`", about)
            return forms[0] if forms else "object"
        case {"anyOf": alternatives}:
            null_first = sorted(alternatives, key=lambda one: one != {"type": "null"})
            return " or ".join(in_words(one, definitions) for one in null_first)
        case {"enum": values}:
            *others, last = (f"`{json.dumps(value)}`" for value in values)
            return f"{', '.join(others)} or {last}"
        case {"const": value}:
            return f"`{json.dumps(value)}`"
        case {"type": "array", "items": items}:
            return f"list, each {in_words(items, definitions)}"
        case {"type": "integer"}:
            return "whole number" + _limits(schema, 1)
        case {"type": "number"}:
            return "number" + _limits(schema, 0)
    return {"null": "`null`", "boolean": "`true` or `false`", "string": "string"}[schema["type"]]


def _limits(schema: Mapping[str, Any], step: int) -> str:
    """The smallest and the largest number; with a step of 0 between numbers that are allowed."""
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if above is not None and not step:
        return f" above {above}"
    lowest = schema.get("minimum", None if above is None else above + step)
    highest = schema.get("maximum", None if below is None else below - step)
    start = "" if lowest is None else f" from {lowest}"
    return start if highest is None else f"{start} to {highest}"
