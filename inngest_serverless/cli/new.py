"""``inngest-serverless new``: creates the folder of a small project, with a function, its tests and its deployment.

What is in it lies in ``templates``: the files of ``common``, and those of the cloud. Each has the ending ``.tmpl``, so
that no tool takes it for a part of this package.
"""

from __future__ import annotations

import re
import sys
from importlib.resources import as_file, files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import click

from inngest_serverless.cli.errors import OK, USAGE, fail
from inngest_serverless.cli.output import json_option, print_json
from inngest_serverless.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["command"]

_ENDING = ".tmpl"
_CLOUDS = {"aws": "AWS Lambda", "gcp": "Google Cloud Functions"}
# The newest Python that each cloud is known to run.
_NEWEST_MINOR = {"aws": 14, "gcp": 13}
# It becomes the name of a stack, of a function and of an app, which is what each of these allows.
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_LONGEST_NAME = 40


class _File(Template):
    """A file with names to fill in; ``$`` is for the shell and for CloudFormation."""

    delimiter = "%%"


@click.command("new", short_help="Create the folder of a new project.")
@click.argument("name")
@click.option("--cloud", type=click.Choice(list(_CLOUDS)), required=True, help="Where it will be deployed.")
@json_option
def command(name: str, cloud: str, as_json: bool) -> int:
    """Create the folder NAME with a small project: a durable function, its tests, and what deploys it.

    NAME has letters, digits and dashes; the app is called so, and what is deployed. The folder is made in the current
    one, and must not be there yet, or be empty. Its README.md says how to go on.
    """
    _check_name(name)
    folder = Path.cwd() / name
    rendered = _render(cloud, _values(name, cloud, sys.version_info.minor))
    try:
        _write(folder, rendered)
    except OSError as error:
        fail(f"{error.filename or folder} cannot be written: {error.strerror or error}", USAGE)
    if as_json:
        print_json({"name": name, "cloud": cloud, "folder": str(folder), "files": list(rendered)})
    else:
        click.echo(f"created {name}, an app for {_CLOUDS[cloud]}:")
        click.echo("".join(f"  {name}/{file}\n" for file in rendered))
        click.echo(f"go on with {name}/README.md")
    return OK


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        rule = f"up to {_LONGEST_NAME} letters, digits and dashes, a letter first and no dash last"
        raise click.BadParameter(f"{name!r} cannot be the name: it takes {rule}", param_hint="NAME")


def _values(name: str, cloud: str, minor: int) -> dict[str, str]:
    """What the files are filled in with. The project runs on the Python that creates it, if the cloud has that."""
    python = f"3.{min(minor, _NEWEST_MINOR[cloud])}"
    runtime = f"python{python}" if cloud == "aws" else f"python{python.replace('.', '')}"
    # Cloud Functions take no capitals.
    return {"name": name, "function": name.lower(), "version": __version__, "python": python, "runtime": runtime}


def _render(cloud: str, values: Mapping[str, str]) -> dict[str, str]:
    """The files of a project: their paths, with slashes and in order, and their texts."""
    rendered = {}
    with as_file(files("inngest_serverless.cli") / "templates") as templates:
        for part in ("common", cloud):
            for path in (templates / part).rglob(f"*{_ENDING}"):
                file = path.relative_to(templates / part).as_posix().removesuffix(_ENDING)
                rendered[file] = _File(path.read_text(encoding="utf-8")).substitute(values)
    return dict(sorted(rendered.items()))


def _write(folder: Path, rendered: Mapping[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    if any(folder.iterdir()):
        fail(f"{folder} is there already, and not empty: choose another name, or move it away", USAGE)
    for file, text in rendered.items():
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        # Scripts are for bash, which wants its own line ends on every system.
        path.write_text(text, encoding="utf-8", newline="\n")
        if path.suffix == ".sh":
            path.chmod(0o755)
