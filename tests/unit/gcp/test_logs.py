"""Log lines as Cloud Logging reads them."""

from __future__ import annotations

import json
import logging

import pytest

from inngest_serverless.gcp.logs import CloudLogFormatter, use_cloud_logging

pytestmark = pytest.mark.usefixtures("resting_collector")


@pytest.fixture
def root(monkeypatch):
    """The root logger, as it is in a new process, and put back afterwards."""
    logger = logging.getLogger()
    monkeypatch.setattr(logger, "handlers", [])
    level = logger.level
    yield logger
    logger.setLevel(level)


def read(record):
    [line] = CloudLogFormatter().format(record).splitlines()
    return json.loads(line)


def record(level=logging.INFO, message="%s of %s", arguments=("one", "two"), **extra):
    return logging.makeLogRecord(
        {"name": "app", "levelno": level, "levelname": "x", "msg": message, "args": arguments, **extra}
    )


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (logging.NOTSET, "DEFAULT"),
        (5, "DEFAULT"),
        (logging.DEBUG, "DEBUG"),
        (logging.INFO, "INFO"),
        (25, "INFO"),
        (logging.WARNING, "WARNING"),
        (logging.ERROR, "ERROR"),
        (logging.CRITICAL, "CRITICAL"),
        (60, "CRITICAL"),
    ],
)
def test_severities(level, severity):
    assert read(record(level)) == {"severity": severity, "message": "one of two", "logger": "app"}


def test_what_comes_with_a_record():
    fields = read(record(run_id="R", step_id=None, number=2, other=logging, severity="mine"))
    assert (fields["run_id"], fields["step_id"], fields["number"]) == ("R", None, 2)
    assert fields["other"].startswith("<module 'logging'")
    assert fields["severity"] == "INFO", "extra must not change what the line is about"


def nested(value, depth):
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [float("inf"), [float("nan")], nested(1, 100_000)], ids=["infinity", "NaN", "depth"])
def test_a_value_that_json_does_not_hold_leaves_the_line_json(value):
    """Whoever sends events could hide what is logged of them: a line that is no JSON has no severity."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    line = CloudLogFormatter().format(record(logging.ERROR, amount=value, number=2))
    fields = json.loads(line, parse_constant=refuse)
    assert (fields["severity"], fields["message"], fields["number"]) == ("ERROR", "one of two", 2)
    assert fields["amount"] == f"({type(value).__name__})"


def test_a_message_of_several_lines_is_one_line():
    assert read(record(message="a\nb\u2028c \u00eb", arguments=()))["message"] == "a\nb\u2028c \u00eb"


def test_an_exception_is_in_the_same_line():
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("two\nlines")
    fields = read(record(exc_info=(caught.type, caught.value, caught.tb)))
    assert fields["message"] == "one of two"
    assert fields["stack_trace"].startswith("Traceback")
    assert fields["stack_trace"].splitlines()[-1].startswith("ValueError: invalid literal")


def test_on_the_platform_all_loggers_write_json(root, monkeypatch, capsys):
    monkeypatch.setenv("K_SERVICE", "orders")
    root.addHandler(logging.StreamHandler())
    use_cloud_logging()
    logging.getLogger("app").info("hello")
    logging.getLogger("app").debug("unheard")
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == ({"severity": "INFO", "message": "hello", "logger": "app"}, "")


def test_the_level(root, monkeypatch, capsys):
    monkeypatch.setenv("K_SERVICE", "orders")
    use_cloud_logging("WARNING")
    logging.getLogger("app").info("unheard")
    assert capsys.readouterr().out == ""


def test_off_the_platform_nothing_changes(root):
    before = list(root.handlers)
    use_cloud_logging()
    assert root.handlers == before


def test_who_logs_does_not_fail_for_it(root, monkeypatch, capsys):
    monkeypatch.setenv("K_SERVICE", "orders")
    use_cloud_logging()
    logging.getLogger("app").info("%d", "no number")
    assert "Logging error" in capsys.readouterr().err
