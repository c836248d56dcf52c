"""Import paths of before that still lead to what moved elsewhere."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import CodeType, ModuleType
from typing import Any


def install(former: Mapping[str, Sequence[str]]) -> None:
    """Let modules be imported, and run with `python -m`, by their paths of before.

    Nothing is imported until somebody asks for it.

    Args:
        former: for each path of before the modules that have its names now, the first that has a
            name first; none for a package of which only modules are left.
    """
    sys.meta_path.insert(0, _FormerPaths(former))


class _FormerPaths(MetaPathFinder, Loader):
    def __init__(self, former: Mapping[str, Sequence[str]]) -> None:
        self._former = former

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        if fullname not in self._former:
            return None
        return ModuleSpec(fullname, self, is_package=not self._former[fullname])

    def exec_module(self, module: ModuleType) -> None:
        targets = self._former[module.__name__]

        def look_up(name: str) -> Any:
            for target in targets:
                found = importlib.import_module(target)
                if hasattr(found, name):
                    return getattr(found, name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__doc__ = f"What is in {' and '.join(targets)} now." if targets else None
        vars(module)["__getattr__"] = look_up

    def get_code(self, fullname: str) -> CodeType | None:
        """The code of the first module that has its names now, as `python -m` asks for it."""
        (target, *_) = self._former[fullname]
        spec = find_spec(target)
        return spec.loader.get_code(target) if spec and spec.loader else None  # type: ignore[attr-defined]
