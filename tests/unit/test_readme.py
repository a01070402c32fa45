"""The README's example does what the README says."""

import re
from pathlib import Path

from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine

README = Path(__file__).parents[2] / "README.md"
URL = "https://readme.lambda-url.eu-west-1.on.aws/api/inngest"
SIGNUP = {"account_id": "a-17", "email": "ada@example.com"}


def blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def _served(monkeypatch):
    """The example's handler, synced with an engine of its own."""
    from inngest_serverless.local.api import LocalApi

    [code, _] = blocks()
    engine = Engine(lambda *request: endpoint(*request))  # noqa: PLW0108 - it is made below
    with LocalApi(engine) as api:
        monkeypatch.setenv("INNGEST_DEV", api.origin)
        names: dict[str, object] = {"__name__": "readme"}
        exec(compile(code, str(README), "exec"), names)  # noqa: S102 - the README is ours
        endpoint = lambda_endpoint(lambda event: names["handler"](event, None))
        assert endpoint("PUT", URL, {}, b"").status == 200
    return engine


def test_the_example_follows_up_after_three_days(monkeypatch):
    run = _served(monkeypatch).execute({"name": "api/account.created", "data": SIGNUP})
    assert (run.status, run.output) == ("completed", "done")
    assert run.steps == ["initial-delay", "email-user", "wait-for-activity", "follow-up"]
    assert run.timeline[-1].at_ms - run.timeline[0].at_ms == (3 * 24 * 3600 + 1) * 1000


def test_the_example_does_not_follow_up_an_active_account(monkeypatch):
    engine = _served(monkeypatch)
    [run] = engine.send({"name": "api/account.created", "data": SIGNUP})
    engine.advance("1h")
    engine.send({"name": "api/function.created", "data": {"account_id": "somebody else"}})
    engine.send({"name": "api/function.created", "data": {"account_id": "a-17"}})
    engine.finish(run)
    assert (run.status, run.output) == ("completed", "done")
    assert run.steps == ["initial-delay", "email-user", "wait-for-activity"]


def test_the_example_of_a_test_runs(monkeypatch):
    example, test = blocks()
    monkeypatch.setenv("INNGEST_DEV", "1")
    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(example, str(README), "exec"), names)  # noqa: S102 - the README is ours
    exec(compile(test, str(README), "exec"), names)  # noqa: S102 - as above


def test_the_comparison_is_the_one_that_was_measured():
    compared = rows(README, "| warm call, 100", "| import and first call", "| deployment package")
    measured = rows(README.with_name("docs") / "performance.md", *(row[0] for row in compared))
    assert len(compared) == len(measured) == 3
    for (title, *shown), (full_title, _floor, own, _own_async, *others, _goal) in zip(compared, measured, strict=True):
        assert (title, shown) == (full_title, [own, *others]), "take the figures over from docs/performance.md"


def test_it_is_short():
    assert README.read_text("utf-8").count("\n") < 150


def rows(page, *starts):
    """The rows of a page's tables that begin like this, as lists of cells."""
    lines = page.read_text("utf-8").splitlines()
    found = [
        next(line for line in lines if line.removeprefix("| ").startswith(each.removeprefix("| "))) for each in starts
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found]
