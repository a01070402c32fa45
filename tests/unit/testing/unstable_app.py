"""Functions that are the same on every call in one process, and not in the next."""

from __future__ import annotations

import sys
import uuid

from inngest_serverless import create_function, event_trigger, inngest_lambda

NAMES = {"ada", "bob", "cy", "dee", "eve", "fay"}
AT_IMPORT = uuid.uuid4()
placed = event_trigger("shop/order.placed")


def work(*_args):
    """The body of a step."""


@create_function(id="over-a-set", trigger=placed)
def over_a_set(ctx):
    for name in NAMES:
        ctx.step.run(name, work)


@create_function(id="of-the-import", trigger=placed)
def of_the_import(ctx):
    ctx.step.run(f"a-{AT_IMPORT}", work)


@create_function(id="stable", trigger=placed)
def stable(ctx):
    for name in sorted({"ada", "bob", "cy"}):
        ctx.step.run(name, work, {"b", "a"}, {"x": frozenset({"y", "z"})}, work, str)
    ctx.step.sleep("nap", "1d")


functions = [stable, of_the_import]
handler = inngest_lambda([over_a_set, of_the_import, stable], app_id="shop", is_dev=True)


def importable(name):
    """A target of this module by its name: the very object that another process finds there."""
    return getattr(sys.modules[__name__], name)
