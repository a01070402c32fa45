"""What somebody may have meant by a target that is not there, and what a module alone stands for."""

from __future__ import annotations

import os
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.functions import Function

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

__all__ = ["handler_in", "module_hint", "names_hint"]

# As all the documentation calls it.
_USUAL = "handler"
_MAKERS = tuple(f"{name}.<locals>." for name in ("inngest_lambda", "inngest_gcf", "inngest_gcf_async"))
_SKIPPED = {"__pycache__", "node_modules", "site-packages", "build", "dist"}
_DEEPEST, _MOST_FILES, _MOST_NAMES, _MOST_HINTS = 3, 5_000, 8, 3


def handler_in(module: ModuleType) -> tuple[str, Any] | None:
    """The handler of a module, with its name: what is called ``handler``, or else the one that was made in it.

    Returns:
        None where there is no handler.

    Raises:
        ConfigurationError: There are several.
    """
    usual = vars(module).get(_USUAL)
    if callable(usual) and not isinstance(usual, Function | type):
        return _USUAL, usual
    made = {id(value): (name, value) for name, value in vars(module).items() if _is_made(value)}
    if len(made) > 1:
        names = " or ".join(f"{module.__name__}:{name}" for name, _ in made.values())
        raise ConfigurationError(f"module {module.__name__} has several handlers: name one of them, {names}")
    return next(iter(made.values()), None)


def names_hint(module: ModuleType, wanted: str) -> str:
    """Which targets there are in a module that has no attribute of a name; "" if there are none."""
    found = [name for name, value in vars(module).items() if _is_served(value)]
    names = get_close_matches(wanted, found, 1) or found[:_MOST_NAMES]
    return f" (did you mean {_listed(module.__name__, names)}?)" if names else ""


def module_hint(name: str, attribute: str, cwd: Path) -> str:
    """Where a module may be that is not in a folder, as the target would be written; "" where nothing is found.

    What is in no package is likely to import its neighbours by their bare names, so it has to be started where it is.

    Args:
        name: The module.
        attribute: What is looked for in it, or "".
        cwd: The folder.
    """
    ending = f":{attribute}" if attribute else ""
    modules = list(islice(_modules(cwd), _MOST_FILES))
    last = name.rpartition(".")[2]
    same = [module for module in modules if module.rpartition(".")[2] == last]
    likely = same or get_close_matches(name, modules, 1)
    places = [_place(module, cwd) for module in likely[:_MOST_HINTS]]
    meant = [f"{module}{ending}" for folder, module in places if not folder]
    moves = [f"cd {folder}, then {module}{ending}" for folder, module in places if folder]
    hints = ([f"did you mean {' or '.join(meant)}?"] if meant else []) + moves
    return f" ({' or '.join(hints)})" if hints else ""


def _place(module: str, cwd: Path) -> tuple[str, str]:
    """The folder to start in, "" for the one that it is looked for in, and the module's name as seen from there."""
    parts = module.split(".")
    start = len(parts) - 1
    while start and cwd.joinpath(*parts[:start], "__init__.py").is_file():
        start -= 1
    return "/".join(parts[:start]), ".".join(parts[start:])


def _is_made(value: Any) -> bool:
    """Whether it was made by inngest_lambda and the like, as its name tells, also within middleware's observers."""
    return str(getattr(value, "__qualname__", "")).startswith((*_MAKERS, "Observer.around_handler.<locals>."))


def _is_served(value: Any) -> bool:
    is_list = isinstance(value, list | tuple) and bool(value) and all(isinstance(each, Function) for each in value)
    return is_list or isinstance(value, Function) or _is_made(value)


def _listed(module: str, names: Iterable[str]) -> str:
    return ", ".join(f"{module}:{name}" for name in names)


def _modules(folder: Path, depth: int = 0) -> Iterator[str]:
    """The modules in a folder and in those in it, as they are imported from it; the nearest first."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # it is not for us
        return
    if any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    for entry in entries:
        name, suffix = os.path.splitext(entry.name)  # noqa: PTH122 - it is only a name
        if suffix == ".py" and name.isidentifier() and name != "__init__":
            yield name
    for entry in entries:
        is_package = entry.is_dir(follow_symlinks=False) and entry.name.isidentifier() and entry.name not in _SKIPPED
        if is_package and depth < _DEEPEST:
            yield from (f"{entry.name}.{module}" for module in _modules(Path(entry.path), depth + 1))
