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


def test_the_example_of_a_test_runs(monkeypatch, capsys):
    example, test = blocks()
    # The page says that the handler is made when the address is known: so it is here.
    making = "with LocalApi(engine) as api:"
    head, body = test.split(making)
    names: dict[str, object] = {"__name__": "readme"}
    monkeypatch.setenv("INNGEST_DEV", "1")
    exec(compile(example, str(README), "exec"), names)  # noqa: S102 - the README is ours
    names["remake"] = lambda origin: (monkeypatch.setenv("INNGEST_DEV", origin), exec(example, names))  # noqa: S102
    first, *rest = body.split("\n")
    exec("\n".join([head + making + first, "    remake(api.origin)", *rest]), names)  # noqa: S102
    assert capsys.readouterr().out.startswith("completed done None ['initial-delay'")
