"""The options of a handler: what each does, and what is refused."""

import json
import logging

import pytest

from inngest_serverless import (
    ConfigurationError,
    Context,
    Middleware,
    create_function,
    event_trigger,
    inngest_lambda,
    options,
    register,
)


@create_function(id="greet", trigger=event_trigger("user/signed.up"))
def greet(ctx: Context) -> str:
    ctx.logger.warning("hello")
    return ctx.env


def lambda_event(method="GET", query="", body="", path="/api/inngest", headers=()):
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": dict(headers),
        "requestContext": {"http": {"method": method}, "domainName": "x.lambda-url.eu-west-1.on.aws"},
        "body": body,
    }


def call(handler):
    event = {"name": "user/signed.up", "data": {}}
    body = json.dumps({"ctx": {"run_id": "R", "env": "pr-7"}, "event": event, "events": [event], "steps": {}})
    return handler(lambda_event("POST", "fnId=app-greet&stepId=step", body), None)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("INNGEST_DEV", "INNGEST_APP_ID", "INNGEST_SIGNING_KEY", "INNGEST_SERVE_PATH", "K_SERVICE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def _empty_registry(monkeypatch):
    monkeypatch.setattr(options, "_registered", [])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"app_idd": "x"}, "unknown option 'app_idd'.*app_id"),
        ({"api_origin": "http://x"}, "unknown option 'api_origin'"),
        ({"app_id": ""}, "app_id must be text"),
        ({"app_id": 5}, "app_id must be text"),
        ({"env": " "}, "env must be text"),
        ({"is_dev": "1"}, "is_dev must be True or False"),
        ({"allow_in_band_sync": 0}, "allow_in_band_sync must be True or False"),
        ({"api_base_url": "api.example.com"}, "api_base_url must begin with http"),
        ({"serve_origin": "example.com"}, "serve_origin must begin with http"),
        ({"max_body_size": 0}, "max_body_size"),
        ({"max_body_size": True}, "max_body_size"),
        ({"max_body_size": "1"}, "max_body_size"),
        ({"streaming": True}, "never streams"),
        ({"url": "https://x.example/a", "serve_path": "/a"}, "give one of them"),
        ({"url": "https://x.example/a", "serve_origin": "https://x.example"}, "give one of them"),
        ({"middleware": [object()]}, "middleware takes"),
    ],
)
def test_wrong_options_are_refused_at_import(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        inngest_lambda([greet], **({"app_id": "app"} | wrong))


def test_none_is_as_good_as_nothing():
    handler = inngest_lambda([greet], app_id="app", is_dev=True, env=None, logger=None, url=None)
    assert call(handler)["statusCode"] == 200


def test_no_app_id_says_how_to_give_one(monkeypatch):
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    with pytest.raises(ConfigurationError, match=r"app_id=.*INNGEST_APP_ID"):
        inngest_lambda([greet])


def test_logger_is_where_functions_write():
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append(record)

    logger = logging.Logger("mine")  # noqa: LOG001 - one that is not shared with other tests
    logger.addHandler(Keep())
    call(inngest_lambda([greet], app_id="app", is_dev=True, logger=logger))
    [record] = records
    assert (record.getMessage(), record.run_id, record.function_id) == ("hello", "R", "greet")


def test_middleware_is_called_for_every_function():
    seen = []

    class Watch(Middleware):
        def transform_input(self, call):
            seen.append((call.app_id, call.function_id, call.run_id))

    call(inngest_lambda([greet], app_id="app", is_dev=True, middleware=[Watch]))
    assert seen == [("app", "greet", "R")]


def registered_urls(handler, path="/internal/path"):
    """The URLs under which a handler registers its functions, read from an in-band sync."""
    from inngest_serverless import sign

    key = "signkey-test-" + "0123456789abcdef" * 4
    headers = {"x-inngest-sync-kind": "in_band", "x-inngest-signature": sign(b"", key)}
    reply = handler(lambda_event("PUT", path=path, headers=headers.items()), None)
    assert reply["statusCode"] == 200, reply
    document = json.loads(reply["body"])
    return document["url"], document["functions"][0]["steps"]["step"]["runtime"]["url"]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "https://x.lambda-url.eu-west-1.on.aws/internal/path"),
        ({"serve_origin": "https://a.example/"}, "https://a.example/internal/path"),
        ({"serve_path": "/internal/path"}, "https://x.lambda-url.eu-west-1.on.aws/internal/path"),
        ({"url": "https://a.example/public/inngest"}, "https://a.example/public/inngest"),
        ({"url": "https://a.example"}, "https://a.example/"),
    ],
)
def test_the_public_url(given, url):
    key = "signkey-test-" + "0123456789abcdef" * 4
    handler = inngest_lambda([greet], app_id="app", signing_key=key, **given)
    assert registered_urls(handler) == (url, f"{url}?fnId=app-greet&stepId=step")


def test_url_serves_any_path_but_serve_path_only_its_own():
    everywhere = inngest_lambda([greet], app_id="app", is_dev=True, url="https://a.example/public")
    assert everywhere(lambda_event(path="/elsewhere"), None)["statusCode"] == 200
    one_path = inngest_lambda([greet], app_id="app", is_dev=True, serve_path="/public")
    assert one_path(lambda_event(path="/elsewhere"), None)["statusCode"] == 404


@pytest.mark.usefixtures("_empty_registry")
def test_a_handler_without_functions_serves_what_was_registered():
    with pytest.raises(ConfigurationError, match="no functions to serve"):
        inngest_lambda(app_id="app", is_dev=True)
    register(greet)
    register(greet)
    assert call(inngest_lambda(app_id="app", is_dev=True))["statusCode"] == 200


@pytest.mark.usefixtures("_empty_registry")
def test_register_refuses_what_is_no_function():
    with pytest.raises(ConfigurationError, match="create_function"):
        register(lambda ctx: None)
