"""The lowest release of each package that pyproject.toml allows, and the pins of everything else: see test_floors.

Usage: floors.py FOLDER   (writes requirements.txt and constraints.txt there)
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# What the tests need besides.
TOOLS = ["pytest", "pytest-xdist", "hypothesis", "boto3", "PyYAML", "ruff", "awslambdaric"]
# Comes in step with another package, whose floor decides.
IN_STEP = {"opentelemetry-sdk": "opentelemetry-api"}
# What a package at its floor takes in another release than the development environment has.
FREE = {
    *("cloudevents", "importlib-metadata", "opentelemetry-semantic-conventions", "pydantic-core", "starlette", "typer"),
}


def floors() -> dict[str, str]:
    """Requirements with their lowest releases, ``{"httpx": "httpx==0.27"}``, of the project and all its extras.

    Raises:
        ValueError: A requirement has no floor, or two have different ones.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    found: dict[str, str] = {}
    extras: dict[str, set[str]] = {}
    for requirement in map(Requirement, texts):
        lowest = [part.version for part in requirement.specifier if part.operator in {">=", "==", "~="}]
        if len(lowest) != 1:
            raise ValueError(f"pyproject.toml: {requirement} has no floor: write {requirement.name}>=...")
        if found.setdefault(requirement.name, lowest[0]) != lowest[0]:
            raise ValueError(
                f"pyproject.toml: {requirement.name} has the floors {found[requirement.name]}, {lowest[0]}"
            )
        extras.setdefault(requirement.name, set()).update(requirement.extras)
    found |= {follower: found[leader] for follower, leader in IN_STEP.items()}
    return {
        name: f"{name}{'[' + ','.join(sorted(extras[name])) + ']' if extras.get(name) else ''}=={version}"
        for name, version in found.items()
    }


def constraints() -> list[str]:
    """The pins of the development environment, for everything that has no floor here."""
    free = FREE | {_canonical(name) for name in floors()}
    pins = re.findall(r"^(([\w.-]+)==\S+)$", (ROOT / "requirements" / "dev.txt").read_text("utf-8"), re.MULTILINE)
    return [pin for pin, name in pins if _canonical(name) not in free]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.joinpath("requirements.txt").write_text("\n".join([*floors().values(), *TOOLS, ""]), encoding="utf-8")
    folder.joinpath("constraints.txt").write_text("\n".join([*constraints(), ""]), encoding="utf-8")
