"""The switches: what is loaded when they are off and on, and what they need."""

from __future__ import annotations

import builtins
import logging
import sys

import pytest
from aws_lambda_powertools import Tracer
from observability_runs import Observed, both, declare, loaded_modules, two_steps

import inngest_serverless
from inngest_serverless import ConfigurationError, Middleware, inngest_lambda
from inngest_serverless.aws.observability import Observer
from inngest_serverless.errors import UnsupportedEventError

SWITCHES = ["PowertoolsLogs", "PowertoolsMetrics", "PowertoolsTraces"]
APP = """
import os
os.environ["LAMBDA_TASK_ROOT"] = "/var/task"
from inngest_serverless import create_function, event_trigger, inngest_lambda{names}

@create_function(id="fn", trigger=event_trigger("test/started"))
def fn(ctx):
    return 1

handler = inngest_lambda([fn], app_id="app", is_dev=True, middleware=[{switches}])
"""


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """What the switches change for the whole process, as it was."""
    # Outside of Lambda, Powertools turns the X-Ray SDK off.
    monkeypatch.setattr("aws_xray_sdk.global_sdk_config.set_sdk_enabled", lambda value: None)
    ours = logging.getLogger("inngest_serverless")
    before = ours.handlers, ours.propagate, ours.level
    yield
    Tracer._reset_config()
    ours.handlers, ours.propagate = before[:2]
    ours.setLevel(before[2])


def loaded(*switches):
    """What an app loads with these switches on, besides the standard library's modules."""
    names = "".join(f", {switch}" for switch in switches)
    program = APP.format(names=names, switches=", ".join(f"{switch}()" for switch in switches))
    modules = loaded_modules(f"sys.path[:0] = {sys.path!r}\n{program}")
    return {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names}


def test_nothing_is_loaded_while_they_are_off():
    modules = loaded()
    assert not {name for name in modules if "observability" in name or "middleware" in name}
    assert not {name for name in modules if name.startswith(("aws_", "botocore", "wrapt"))}


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_loads_only_itself(switch):
    modules = loaded(switch)
    own = f"inngest_serverless.aws.observability_{switch.removeprefix('Powertools').lower()}"
    assert {name for name in modules if "observability_" in name} == {own}
    assert "aws_lambda_powertools" in modules
    assert ("aws_xray_sdk" in modules) == (switch == "PowertoolsTraces")
    assert not {"boto3", "httpx", "pydantic"} & modules


def test_naming_one_does_not_turn_it_on():
    names = ", ".join(SWITCHES)
    modules = loaded_modules(f"sys.path[:0] = {sys.path!r}\nfrom inngest_serverless import {names}")
    assert not {name for name in modules if name.startswith("aws_")}


@pytest.mark.parametrize("switch", SWITCHES)
def test_without_powertools(switch, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith(("aws_lambda_powertools", "aws_xray_sdk")):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    made = getattr(inngest_serverless, switch)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=rf"^{switch} needs Powertools for AWS Lambda: pip install '.*aws"):
        made()


def test_other_middleware_is_left_alone():
    class Own(Middleware):
        def __init__(self):
            made.append(self)

    made = []
    given = (each for each in [Own])  # any iterable will do
    server = Observed(declare("sync", two_steps), middleware=given)
    assert server.served.__qualname__.endswith("inngest_lambda.<locals>.handler"), "nobody is around it"
    before = len(made)
    server.call()
    assert len(made) == before + 1, "a class still makes an instance for each call"


def test_the_first_is_the_outermost():
    class Noting(Observer):
        def __init__(self, name):
            self.name = name

        def begin_invocation(self):
            noted.append(f"{self.name} begins")

        def end_invocation(self, record):
            noted.append(f"{self.name} ends {record.outcome}")

    noted = []
    Observed(declare("sync", two_steps), Noting("a"), Middleware(), Noting("b")).call()
    assert noted == ["a begins", "b begins", "b ends step_succeeded", "a ends step_succeeded"]


@both
@pytest.mark.parametrize("options", [{}, {"middleware": None}, {"middleware": []}])
def test_no_middleware(kind, options):
    handler = inngest_lambda([declare(kind, two_steps)], app_id="app", is_dev=True, **options)
    assert handler({"requestContext": {"http": {"method": "GET"}}}, None)["statusCode"] == 200


@pytest.mark.parametrize("switch", SWITCHES)
def test_what_the_handler_raises_goes_through(switch, capsys):
    observer = getattr(inngest_serverless, switch)()
    with pytest.raises(UnsupportedEventError):
        Observed(declare("sync", two_steps), observer).served({"Records": []}, None)
    assert capsys.readouterr().out == ""
