"""Which modules some code may import, read from its source: imports inside of functions count as well."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = ["Imports"]

# Parts that packages bring for tools and tests: they stay only where somebody imports them by name.
_ASIDE = {"anyio._backends._trio", "anyio.pytest_plugin", "httpcore._backends.trio", "pydantic.mypy"}
_TESTS = {"test", "tests"}


class Imports:
    """What is reached from some modules of a folder.

    Args:
        folder: Where everything is imported from.
        packages: The names of packages, rather than of the app's own code. Reached by any part, all of one is.
        by_module: Those of them whose modules are looked at one by one.
        without: The names of packages, or of parts of them, that are not followed.
        own: The package that names what it loads late in ``_HOMES``.

    Attributes:
        reached: The dotted names of modules.
    """

    def __init__(self, folder: Path, packages: set[str], by_module: set[str], without: set[str], own: str) -> None:
        self._folder = folder
        self._packages = packages
        self._by_module = by_module
        self._without = without
        self._own = own
        self._homes = _read_homes(folder / own / "__init__.py")
        self.reached: set[str] = set()

    def follow(self, module: str) -> bool:
        """Follow a module, what is around it, and all that those import; False where there is none."""
        waiting = [module]
        while waiting:
            name = waiting.pop()
            top, _, inner = name.partition(".")
            if name in self.reached or _is_in(name, self._without) or not self._exists(name):
                continue
            self.reached.add(name)
            waiting += [name.rpartition(".")[0] or name]
            if top in self._packages - self._by_module and not inner:
                waiting += self._modules(top, but=_ASIDE)
            waiting += self._imported_by(name)
        return module in self.reached

    def unreached(self) -> list[str]:
        """Modules that can go: those not reached of packages that are reached."""
        kept = self._packages & self.reached
        return sorted({part for name in kept for part in self._modules(name)} - self.reached)

    def _modules(self, top: str, but: Collection[str] = ()) -> list[str]:
        names = []
        for path in (self._folder / top).rglob("*.py"):
            parts = list(path.relative_to(self._folder).with_suffix("").parts)
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            name = ".".join(parts)
            is_aside = bool(_TESTS & set(parts[1:])) or _is_in(name, but)
            if not (but and is_aside):
                names.append(name)
        return names

    def _exists(self, name: str) -> bool:
        path = self._folder.joinpath(*name.split("."))
        return path.is_dir() or path.with_name(f"{path.name}.py").exists() or any(path.parent.glob(f"{path.name}.*so"))

    def _imported_by(self, name: str) -> Iterator[str]:
        path = self._folder.joinpath(*name.split("."))
        is_package = path.is_dir()
        source = path / "__init__.py" if is_package else path.with_name(f"{path.name}.py")
        if not source.exists():
            return
        package = name if is_package else name.rpartition(".")[0]
        for node in _running(ast.parse(source.read_bytes(), source.relative_to(self._folder).as_posix())):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name
                    if alias.name == self._own:
                        yield from self._homes.values()
            elif isinstance(node, ast.ImportFrom):
                yield from self._from(node, package)
            elif isinstance(node, ast.Call) and "import_module" in {
                getattr(node.func, "id", None),
                getattr(node.func, "attr", None),
            }:
                names = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
                yield from (name for name in names if isinstance(name, str))

    def _from(self, node: ast.ImportFrom, package: str) -> Iterator[str]:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        module = ".".join([*parents, *([node.module] if node.module else [])])
        yield module
        for alias in node.names:
            yield f"{module}.{alias.name}"
            if module == self._own:
                yield from self._homes.values() if alias.name == "*" else [self._homes.get(alias.name, module)]


def _is_in(module: str, parts: Collection[str]) -> bool:
    return any(f"{module}.".startswith(f"{part}.") for part in parts)


def _read_homes(init: Path) -> dict[str, str]:
    """In which module each public name of the own package is."""
    for node in ast.parse(init.read_bytes()).body if init.exists() else ():
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "_HOMES":
            return {name: home for home, names in ast.literal_eval(node.value).items() for name in names}
    return {}


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All of a tree but what only type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        is_for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in {
            getattr(child.test, "id", None),
            getattr(child.test, "attr", None),
        }
        if is_for_types:
            for other in child.orelse:  # type: ignore[attr-defined]
                yield from _running(other)
        else:
            yield from _running(child)
