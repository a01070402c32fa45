"""Settings: from the environment, from options, and which of them wins."""

from __future__ import annotations

import pytest

from inngest_serverless.config import DEFAULT_MAX_BODY_SIZE, Settings
from inngest_serverless.errors import ConfigurationError

KEY = "signkey-test-0123456789abcdef"
CLOUD = ("https://api.inngest.com", "https://inn.gs")
DEV = ("http://127.0.0.1:8288",) * 2


def settings(environ=None, **options):
    return Settings.from_env(environ or {}, **{"app_id": "app", **options})


def origins(found):
    return found.api_origin, found.event_api_origin


def refusal(environ=None, **options):
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(environ or {}, **options)
    return str(caught.value)


def test_the_defaults():
    found = settings()
    expected = {
        "allow_in_band_sync": True,
        "enable_unauthed_sync": True,
        "api_origin": CLOUD[0],
        "app_id": "app",
        "app_version": None,
        "env": None,
        "event_api_origin": CLOUD[1],
        "event_key": None,
        "is_dev": False,
        "max_body_size": DEFAULT_MAX_BODY_SIZE,
        "serve_origin": None,
        "serve_path": None,
        "signing_key": None,
        "signing_key_fallback": None,
    }
    assert {name: getattr(found, name) for name in expected} == expected
    assert (found.mode, found.signing_keys) == ("cloud", ())


def test_everything_from_the_environment():
    found = Settings.from_env(
        {
            "INNGEST_APP_ID": "app",
            "INNGEST_APP_VERSION": "1.2",
            "INNGEST_EVENT_KEY": "event-key",
            "INNGEST_SIGNING_KEY": KEY,
            "INNGEST_SIGNING_KEY_FALLBACK": KEY + "00",
            "INNGEST_ENV": "branch",
            "INNGEST_SERVE_ORIGIN": "https://example.com/",
            "INNGEST_SERVE_PATH": "/api/inngest",
            "INNGEST_ALLOW_IN_BAND_SYNC": "0",
            "INNGEST_ENABLE_UNAUTHED_SYNC": "0",
        }
    )
    assert (found.app_id, found.app_version, found.event_key, found.env) == ("app", "1.2", "event-key", "branch")
    assert [key.secret for key in found.signing_keys] == [b"0123456789abcdef", b"0123456789abcdef00"]
    assert (found.serve_origin, found.serve_path) == ("https://example.com", "/api/inngest")
    assert (found.allow_in_band_sync, found.enable_unauthed_sync) == (False, False)


@pytest.mark.parametrize(
    ("value", "is_dev", "expected"),
    [
        (None, False, CLOUD),
        ("", False, CLOUD),
        ("0", False, CLOUD),
        ("false", False, CLOUD),
        ("False", False, CLOUD),
        (" FALSE ", False, CLOUD),
        ("no", False, CLOUD),
        ("off", False, CLOUD),
        ("1", True, DEV),
        ("true", True, DEV),
        ("TRUE", True, DEV),
        (" 1 ", True, DEV),
        ("yes", True, DEV),
        ("http://localhost:9000", True, ("http://localhost:9000",) * 2),
        ("https://dev.example.com/", True, ("https://dev.example.com",) * 2),
        (" http://localhost:9000// ", True, ("http://localhost:9000",) * 2),
    ],
    ids=repr,
)
def test_inngest_dev(value, is_dev, expected):
    found = settings({} if value is None else {"INNGEST_DEV": value})
    assert (found.is_dev, found.mode) == (is_dev, "dev" if is_dev else "cloud")
    assert origins(found) == expected


@pytest.mark.parametrize(
    ("environ", "option", "expected"),
    [
        ({}, True, DEV),
        ({"INNGEST_DEV": "0"}, True, DEV),
        ({"INNGEST_DEV": "1"}, False, CLOUD),
        ({"INNGEST_DEV": "http://localhost:9000"}, False, CLOUD),
        ({"INNGEST_DEV": "http://localhost:9000"}, True, ("http://localhost:9000",) * 2),
        ({"INNGEST_DEV": "1"}, None, DEV),
    ],
    ids=repr,
)
def test_the_option_is_dev_wins_and_brings_its_origins(environ, option, expected):
    found = settings(environ, is_dev=option)
    assert found.is_dev is (expected != CLOUD)
    assert origins(found) == expected


@pytest.mark.parametrize("dev", ["", "1", "http://localhost:9000"])
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"INNGEST_BASE_URL": "http://b"}, ("http://b", "http://b")),
        ({"INNGEST_API_BASE_URL": "http://a"}, ("http://a", None)),
        ({"INNGEST_EVENT_API_BASE_URL": "http://e"}, (None, "http://e")),
        ({"INNGEST_BASE_URL": "http://b", "INNGEST_API_BASE_URL": "http://a"}, ("http://a", "http://b")),
        ({"INNGEST_BASE_URL": "http://b", "INNGEST_EVENT_API_BASE_URL": "http://e/"}, ("http://b", "http://e")),
        ({"INNGEST_BASE_URL": "http://b///"}, ("http://b", "http://b")),
        ({"INNGEST_BASE_URL": "", "INNGEST_API_BASE_URL": ""}, (None, None)),
    ],
    ids=repr,
)
def test_base_urls_win_over_the_defaults(environ, dev, expected):
    defaults = origins(settings({"INNGEST_DEV": dev}))
    found = origins(settings({**environ, "INNGEST_DEV": dev}))
    assert found == tuple(value or default for value, default in zip(expected, defaults, strict=True))


ENVIRONMENT = {
    "INNGEST_APP_ID": "from-env",
    "INNGEST_APP_VERSION": "from-env",
    "INNGEST_EVENT_KEY": "from-env",
    "INNGEST_ENV": "from-env",
    "INNGEST_API_BASE_URL": "http://from-env",
    "INNGEST_EVENT_API_BASE_URL": "http://from-env",
    "INNGEST_SERVE_ORIGIN": "http://from-env",
    "INNGEST_SERVE_PATH": "/from-env",
    "INNGEST_ALLOW_IN_BAND_SYNC": "1",
    "INNGEST_ENABLE_UNAUTHED_SYNC": "1",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("app_id", "option"),
        ("app_version", "option"),
        ("event_key", "option"),
        ("env", "option"),
        ("api_origin", "http://option"),
        ("event_api_origin", "http://option"),
        ("serve_origin", "http://option"),
        ("serve_path", "/option"),
        ("allow_in_band_sync", False),
        ("enable_unauthed_sync", False),
        ("max_body_size", 5),
    ],
)
def test_an_option_wins_over_the_environment(name, value):
    assert getattr(Settings.from_env(ENVIRONMENT, **{name: value}), name) == value
    assert getattr(Settings.from_env(ENVIRONMENT, **{name: None}), name) != value


def test_keys_of_the_options_win_over_the_environment():
    environ = {"INNGEST_SIGNING_KEY": KEY, "INNGEST_SIGNING_KEY_FALLBACK": KEY}
    found = settings(environ, signing_key="signkey-test-aa", signing_key_fallback="signkey-test-bb")
    assert [key.secret for key in found.signing_keys] == [b"aa", b"bb"]


@pytest.mark.parametrize("name", ["api_origin", "event_api_origin", "serve_origin"])
def test_an_origin_given_as_an_option_ends_without_a_slash_too(name):
    """Paths are put behind it."""
    assert getattr(settings(**{name: "http://option:1/"}), name) == "http://option:1"


@pytest.mark.parametrize("name", ["signing_key", "signing_key_fallback", "event_key", "env", "app_version"])
def test_an_empty_option_switches_the_environment_off(name):
    """It is not None, so it wins; and empty is as good as none."""
    variable = f"INNGEST_{name.upper()}"
    assert getattr(settings({variable: KEY}, **{name: ""}), name) is None


def test_a_fallback_alone_is_a_key():
    assert [key.secret for key in settings(signing_key_fallback=KEY).signing_keys] == [b"0123456789abcdef"]


@pytest.mark.parametrize("text", [f" {KEY}\n", KEY, "0123456789abcdef"])
def test_keys_are_read_without_the_space_around_them(text):
    assert settings({"INNGEST_SIGNING_KEY": text}).signing_key.secret == b"0123456789abcdef"


@pytest.mark.parametrize(
    ("environ", "option", "app_id"),
    [
        ({"K_SERVICE": "gcf"}, None, "gcf"),
        ({"AWS_LAMBDA_FUNCTION_NAME": "lambda", "K_SERVICE": "gcf"}, None, "lambda"),
        ({"INNGEST_APP_ID": "env", "AWS_LAMBDA_FUNCTION_NAME": "lambda"}, None, "env"),
        ({"INNGEST_APP_ID": "env", "AWS_LAMBDA_FUNCTION_NAME": "lambda"}, "option", "option"),
        ({"INNGEST_APP_ID": "", "K_SERVICE": "gcf"}, "", "gcf"),
        ({"INNGEST_APP_ID": " env "}, None, "env"),
    ],
    ids=repr,
)
def test_where_the_app_id_comes_from(environ, option, app_id):
    assert Settings.from_env(environ, app_id=option).app_id == app_id


@pytest.mark.parametrize("environ", [{}, {"INNGEST_APP_ID": ""}, {"INNGEST_APP_ID": "  "}], ids=repr)
@pytest.mark.parametrize("options", [{}, {"app_id": None}, {"app_id": " "}, {"app_id": 5}], ids=repr)
def test_an_app_without_an_id_is_refused(environ, options):
    assert "INNGEST_APP_ID" in refusal(environ, **options)


@pytest.mark.parametrize("name", ["signing_keys", "mode", "is_Dev", "debug", "functions", "__class__", ""])
def test_an_unknown_option_is_refused(name):
    message = refusal(app_id="app", **{name: "x"})
    assert repr(name) in message
    assert "signing_key_fallback" in message


def test_an_unknown_option_is_refused_even_without_a_value():
    assert "'debug'" in refusal(app_id="app", debug=None)


@pytest.mark.parametrize("value", ["1", "true", "allow", "force", "yes"])
def test_streaming_is_refused(value):
    assert "INNGEST_STREAMING" in refusal({"INNGEST_STREAMING": value}, app_id="app")


@pytest.mark.parametrize("value", ["", "0", "false", "off", " No "])
def test_streaming_that_is_off_is_fine(value):
    assert settings({"INNGEST_STREAMING": value}).app_id == "app"


@pytest.mark.parametrize(
    ("value", "allowed"), [("0", False), ("false", False), ("", False), ("1", True), ("yes", True)]
)
def test_in_band_sync(value, allowed):
    assert settings({"INNGEST_ALLOW_IN_BAND_SYNC": value}).allow_in_band_sync is allowed


def test_settings_are_frozen():
    found = settings()
    with pytest.raises(AttributeError, match="frozen"):
        found.app_id = "other"
    with pytest.raises(AttributeError):
        found.extra = 1
    with pytest.raises(AttributeError):
        del found.app_id
    assert found.app_id == "app"


def test_keys_are_never_shown():
    found = settings(signing_key=KEY, signing_key_fallback=KEY + "00", event_key="event-secret")
    shown = [repr(found), str(found), repr(found.signing_keys), f"{found.signing_key}", f"{found.signing_key!s:>40}"]
    for text in shown:
        assert "0123456789abcdef" not in text
        assert "event-secret" not in text


def test_the_environment_is_not_changed():
    environ = {"INNGEST_DEV": "1", "INNGEST_APP_ID": "app"}
    Settings.from_env(environ, app_id="other")
    assert environ == {"INNGEST_DEV": "1", "INNGEST_APP_ID": "app"}


@pytest.mark.parametrize("text", [" ", "signkey-prod-", " signkey-test- "])
def test_a_key_with_nothing_in_it_is_no_key(text):
    """With an empty one anybody could sign."""
    environ = {"INNGEST_SIGNING_KEY": text, "INNGEST_SIGNING_KEY_FALLBACK": text}
    settings = Settings.for_client(environ)
    assert (settings.signing_key, settings.signing_key_fallback) == (None, None)
