"""The keys in a secret: when they are read, which of them count, and what is said of a secret that is not as it must be."""

import json
import logging
import subprocess
import sys
import threading
import traceback
from hashlib import sha256

import pytest

from inngest_serverless import Client, ConfigurationError, SendEventsError
from inngest_serverless.config import Settings
from inngest_serverless.errors import TransportError
from inngest_serverless.secret_keys import REREAD_SECONDS, KeySecret, find_secret, with_keys

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:inngest-AbCdEf"
KEY, NEW_KEY, FALLBACK = (f"signkey-test-{digits * 8}" for digits in ("01234567", "89abcdef", "fedcba98"))
KEYS = {"INNGEST_SIGNING_KEY": KEY, "INNGEST_SIGNING_KEY_FALLBACK": FALLBACK, "INNGEST_EVENT_KEY": "evt-secret"}


class Vault:
    """A secret, and the time; ``value`` is what it holds, or the error of reading it."""

    def __init__(self, **keys):
        self.value = json.dumps(keys)
        self.reads = 0
        self.now = 1_767_268_800.0
        self.secret = KeySecret(ARN, self.read, lambda: self.now)

    def put(self, **keys):
        self.value = json.dumps(keys)

    def read(self):
        self.reads += 1
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@pytest.fixture
def vault():
    return Vault(**KEYS)


def settings(**environ):
    return Settings.for_client(environ)


# When the secret is read.


def test_it_is_read_once_when_the_keys_are_needed(vault):
    assert vault.reads == 0
    assert vault.secret.keys() is vault.secret.keys()
    assert vault.secret.keys() == KEYS
    assert vault.reads == 1


@pytest.mark.parametrize("error", [ConfigurationError("no such secret"), TransportError("no network")])
def test_a_read_that_fails_is_tried_again_with_the_next_call(error, vault):
    value, vault.value = vault.value, error
    vault.secret.fetch_early()
    for _ in range(2):
        with pytest.raises(type(error), match=str(error)):
            vault.secret.keys()
    vault.value = value
    assert vault.secret.keys() == KEYS


def test_newer_keys_are_found_at_once(vault):
    old = vault.secret.keys()
    vault.put(INNGEST_SIGNING_KEY=NEW_KEY)
    new = vault.secret.newer(old)
    assert new == {"INNGEST_SIGNING_KEY": NEW_KEY}
    assert vault.secret.keys() is new
    assert vault.reads == 2


def test_a_flood_of_refusals_reads_it_once_a_minute(vault):
    keys = vault.secret.keys()
    for _ in range(600):
        assert vault.secret.newer(keys) is None
        vault.now += 0.5
    assert vault.reads == 1 + 600 * 0.5 / REREAD_SECONDS


def test_a_rotation_during_a_flood_is_found_within_a_minute(vault):
    keys = vault.secret.keys()
    assert vault.secret.newer(keys) is None
    vault.put(INNGEST_SIGNING_KEY=NEW_KEY)
    vault.now += REREAD_SECONDS - 1
    assert vault.secret.newer(keys) is None
    vault.now += 1
    assert vault.secret.newer(keys) == {"INNGEST_SIGNING_KEY": NEW_KEY}


def test_keys_that_others_have_read_meanwhile_need_no_reading(vault):
    old = vault.secret.keys()
    vault.put(INNGEST_SIGNING_KEY=NEW_KEY)
    new = vault.secret.newer(old)
    assert vault.secret.newer(old) is new
    assert vault.secret.newer(new) is None
    assert vault.reads == 2


def test_a_clock_that_is_set_back_does_not_put_it_off(vault):
    keys = vault.secret.keys()
    vault.secret.newer(keys)
    vault.now -= 86_400
    vault.put(INNGEST_SIGNING_KEY=NEW_KEY)
    assert vault.secret.newer(keys) is not None


@pytest.mark.parametrize("value", [TransportError("no network"), ConfigurationError("gone"), "{bad"])
def test_keys_stay_when_reading_them_anew_fails(value, vault, caplog):
    keys = vault.secret.keys()
    vault.value = value
    assert vault.secret.newer(keys) is None
    assert vault.secret.keys() is keys
    assert vault.secret.newer(keys) is None
    assert vault.reads == 2
    [record] = caplog.records
    assert record.getMessage().endswith("(the keys stay what they were)")


def test_threads_read_it_once(vault):
    barrier = threading.Barrier(8)

    def use():
        barrier.wait()
        vault.secret.newer(vault.secret.keys())

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert vault.reads == 2


# What it must be.


@pytest.mark.parametrize("value", ["", "{bad", "[]", '"text"', "[" * 100_000, b"\xff", b"null"], ids=repr)
def test_a_value_that_is_no_object(value, vault):
    vault.value = value
    with pytest.raises(ConfigurationError, match=r"^INNGEST_SECRET_ARN: the value of the secret is no JSON object: "):
        vault.secret.keys()


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_is_no_text(name, vault):
    vault.put(**KEYS | {name: 5})
    with pytest.raises(ConfigurationError, match=f"^INNGEST_SECRET_ARN: {name} in the secret is no text: "):
        vault.secret.keys()


def test_keys_that_are_empty_are_none_and_others_do_not_matter(vault):
    vault.put(INNGEST_SIGNING_KEY=f" {KEY}\n", INNGEST_SIGNING_KEY_FALLBACK=" ", INNGEST_EVENT_KEY=None, other=5)
    assert vault.secret.keys() == {"INNGEST_SIGNING_KEY": KEY}


def test_a_binary_value(vault):
    vault.value = vault.value.encode()
    assert vault.secret.keys() == KEYS


@pytest.mark.parametrize(
    "value", ['{"INNGEST_SIGNING_KEY": "s3cr3t', '["s3cr3t"]', '{"INNGEST_EVENT_KEY": ["s3cr3t"]}']
)
def test_no_error_holds_what_is_in_it(value, vault):
    vault.value = value
    with pytest.raises(ConfigurationError) as caught:
        vault.secret.keys()
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))


def test_no_repr_and_no_log_shows_a_key(vault, caplog):
    caplog.set_level(logging.DEBUG)
    keys = vault.secret.keys()
    vault.put(**KEYS | {"INNGEST_SIGNING_KEY": NEW_KEY})
    shown = [repr(vault.secret), repr(with_keys(settings(), keys).signing_keys), repr(vault.secret.newer)]
    vault.secret.newer(keys)
    text = "\n".join([*shown, caplog.text])
    assert f"KeySecret('{ARN}')" in text
    assert "the keys in the secret have changed" in text
    assert not [key for key in (*KEYS.values(), NEW_KEY) if key[-16:] in text]


# Which keys count.


def texts(found):
    """The secrets of the signing keys, and the event key."""
    return [key.secret.decode() for key in found.signing_keys], found.event_key


def hexes(*keys):
    return [key.removeprefix("signkey-test-") for key in keys]


@pytest.mark.parametrize(
    ("environ", "signing", "event"),
    [
        ({}, [KEY, FALLBACK], "evt-secret"),
        ({"INNGEST_EVENT_KEY": "mine"}, [KEY, FALLBACK], "mine"),
        ({"INNGEST_SIGNING_KEY": NEW_KEY}, [NEW_KEY], "evt-secret"),
        ({"INNGEST_SIGNING_KEY_FALLBACK": NEW_KEY}, [KEY, NEW_KEY], "evt-secret"),
        ({"INNGEST_SIGNING_KEY": NEW_KEY, "INNGEST_SIGNING_KEY_FALLBACK": KEY}, [NEW_KEY, KEY], "evt-secret"),
    ],
)
def test_what_is_set_wins(environ, signing, event, vault):
    found = with_keys(settings(**environ, INNGEST_ENV="branch"), vault.secret.keys())
    assert texts(found) == (hexes(*signing), event)
    assert found.env == "branch"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"INNGEST_SECRET_ARN": " "},
        {"INNGEST_SECRET_ARN": ARN, "INNGEST_DEV": "1"},
        {"INNGEST_SECRET_ARN": ARN, "INNGEST_SIGNING_KEY": KEY, "INNGEST_EVENT_KEY": "mine"},
    ],
)
def test_no_secret_is_needed(environ, no_settings):
    assert find_secret(environ, settings(**environ)) is None


@pytest.mark.parametrize("name", [None, "INNGEST_SIGNING_KEY", "INNGEST_EVENT_KEY", "INNGEST_SIGNING_KEY_FALLBACK"])
def test_all_share_one_secret(name, no_settings):
    environ = {"INNGEST_SECRET_ARN": f" {ARN} ", **({name: KEY} if name else {})}
    found = find_secret(environ, settings(**environ))
    assert repr(found) == f"KeySecret('{ARN}')"
    assert find_secret({"INNGEST_SECRET_ARN": ARN}, settings()) is found


# Clients.


@pytest.fixture
def client(vault, event_api, monkeypatch):
    """Makes a client whose keys are in the vault."""

    def make(**options):
        monkeypatch.delenv("INNGEST_EVENT_KEY", raising=False)
        monkeypatch.setenv("INNGEST_SECRET_ARN", ARN)
        monkeypatch.setattr("inngest_serverless.secret_keys._secret", lambda _: vault.secret)
        return Client(**options)

    return make


def test_a_client_reads_the_event_key_with_its_first_event(client, vault, event_api):
    sender = client()
    assert vault.reads == 0
    for _ in range(2):
        sender.send({"name": "a/b", "id": "1"})
    assert event_api.keys == ["evt-secret", "evt-secret"]
    assert vault.reads == 1


def test_a_client_that_is_prepared_has_read_it(client, vault):
    client().prepare()
    assert vault.reads == 1
    client(event_key="mine").prepare()
    assert vault.reads == 1


@pytest.mark.parametrize("count", [1, 6000])
def test_a_refused_event_key_is_read_anew_and_the_events_sent_again(count, client, vault, event_api):
    sender = client()
    sender.send({"name": "a/b", "id": "0"})
    vault.put(INNGEST_EVENT_KEY="evt-new")
    event_api.statuses = [401]
    ids = sender.send_many([{"name": "a/b", "id": str(number)} for number in range(count)])
    assert ids == [f"01{number}" for number in range(count)]
    assert event_api.keys[:3] == ["evt-secret", "evt-secret", "evt-new"]
    assert set(event_api.keys[2:]) == {"evt-new"}
    assert len({json.dumps(events) for _, events in event_api.requests[1:3]}) == 1


def test_an_event_key_that_stays_refused_is_an_error(client, vault, event_api):
    event_api.statuses = [401, 401]
    sender = client()
    for _ in range(2):
        with pytest.raises(SendEventsError, match="answered 401") as caught:
            sender.send({"name": "a/b", "id": "1"})
        assert "evt-secret" not in str(caught.value)
    assert vault.reads == 2
    assert event_api.keys == ["evt-secret"] * 2


def test_a_client_with_an_event_key_of_its_own_never_reads_it(client, vault, event_api):
    event_api.statuses = [401]
    with pytest.raises(SendEventsError):
        client(event_key="mine").send({"name": "a/b", "id": "1"})
    assert vault.reads == 0


def bearer(key):
    return f"Bearer signkey-test-{sha256(bytes.fromhex(key.removeprefix('signkey-test-'))).hexdigest()}"


def test_signals_with_keys_that_are_refused(client, vault, event_api):
    sender = client(api_base_url=event_api.url)
    event_api.statuses = [200, 401, 401, 200]
    assert sender.send_signal("go") == "01RUN"
    vault.put(INNGEST_SIGNING_KEY=NEW_KEY)
    assert sender.send_signal("go") == "01RUN"
    assert sender.send_signal("go") == "01RUN"
    assert event_api.bearers == [bearer(key) for key in (KEY, KEY, FALLBACK, NEW_KEY, NEW_KEY)]
    assert vault.reads == 2


def test_a_signal_without_a_key(client, vault, event_api):
    vault.put(INNGEST_EVENT_KEY="evt-secret")
    with pytest.raises(ConfigurationError, match="no signing key"):
        client(api_base_url=event_api.url).send_signal("go")
    assert vault.reads == 2


def test_a_signing_key_of_its_own_is_not_read_anew(client, vault, event_api):
    event_api.statuses = [401]
    with pytest.raises(SendEventsError, match="answered 401"):
        client(api_base_url=event_api.url, signing_key=NEW_KEY).send_signal("go")
    assert vault.reads == 0


def test_an_event_key_may_be_added_later(client, vault, event_api):
    vault.put(INNGEST_SIGNING_KEY=KEY)
    sender = client()
    with pytest.raises(ConfigurationError, match="no event key"):
        sender.send({"name": "a/b", "id": "1"})
    vault.put(**KEYS)
    vault.now += REREAD_SECONDS
    sender.send({"name": "a/b", "id": "1"})
    assert event_api.keys == ["evt-secret"]


@pytest.mark.parametrize(("kind", "raised"), [(TransportError, SendEventsError), (ConfigurationError,) * 2])
def test_a_client_says_why_there_is_no_key(kind, raised, client, vault):
    vault.value = kind("the secret is away")
    with pytest.raises(raised, match="the secret is away"):
        client().send({"name": "a/b", "id": "1"})


# What is loaded for it.

PROGRAM = """
import os, sys
os.environ.clear()
os.environ.update({environ!r})
from inngest_serverless import Client, create_function, cron_trigger, inngest_lambda
Client().prepare()
inngest_lambda([create_function(id="f", trigger=cron_trigger("* * * * *"))(lambda ctx: None)], app_id="app")
print([name for name in ("inngest_serverless.secret_keys", "boto3", "aws_lambda_powertools") if name in sys.modules])
"""
ALL_SET = {"INNGEST_SECRET_ARN": ARN, "INNGEST_SIGNING_KEY": KEY, "INNGEST_EVENT_KEY": "mine"}


@pytest.mark.parametrize(
    ("environ", "loaded"),
    [
        ({}, []),
        (ALL_SET, ["inngest_serverless.secret_keys"]),
        ({"INNGEST_SECRET_ARN": ARN, "INNGEST_DEV": "1"}, ["inngest_serverless.secret_keys"]),
    ],
    ids=["no secret", "all keys are set", "dev"],
)
def test_boto3_is_loaded_only_to_read_it(environ, loaded):
    command = [sys.executable, "-I", "-c", PROGRAM.format(environ=environ)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this program
    assert ran.stdout.strip() == str(loaded)
