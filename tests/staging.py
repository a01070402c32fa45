"""Copies of what is served, in a folder of their own, as a deployment makes one.

functions-framework's ``--debug`` starts anew whenever a module changes in any folder that Python looks into. In a
checkout that is everything, what other tests and other people write there included.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import inngest_serverless

ROOT = Path(inngest_serverless.__file__).parents[1]
# The package is installed as a reference to the checkout, which Python would look into.
_FORGET = """
import sys

sys.path[:] = [folder for folder in sys.path if folder != {!r}]
# Without it the reloader looks at the modules that are loaded, once a second. With it the system tells it of each file
# that any process opens in the environment and the standard library, which keeps half a core busy beside other tests.
sys.modules["watchdog.observers"] = None
"""


def stage(folder: Path, *sources: Path) -> dict[str, str]:
    """Copy the package and further files and folders.

    Returns:
        The variables with which an interpreter finds the copies, and not the checkout.
    """
    for source in (ROOT / "inngest_serverless", *sources):
        if source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    return apart(folder)


def apart(folder: Path) -> dict[str, str]:
    """Cut a folder off from the checkout.

    Returns:
        The variables with which an interpreter looks into the folder, and into the checkout no more.
    """
    (folder / "sitecustomize.py").write_text(_FORGET.format(str(ROOT)))
    return {"PYTHONPATH": str(folder)}
