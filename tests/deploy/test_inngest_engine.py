"""templates/inngest, scripts/cost and docs/engine.md: that they agree, and that the template keeps secrets and data."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from server_thread import ServerThread

from inngest_serverless import Client, create_function, event_trigger, inngest_lambda, sign

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "templates" / "inngest"
COMPOSE = yaml.safe_load((TEMPLATE / "compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
EXAMPLE = (TEMPLATE / ".env.example").read_text("utf-8")
PAGE = (ROOT / "docs" / "engine.md").read_text("utf-8")
SECRETS = {"INNGEST_EVENT_KEY", "INNGEST_SIGNING_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"}
KEY = "0123456789abcdef" * 4
ANSWERS = {"batch": [{"name": "shop/ordered"}], "actions": {}}
every_service = pytest.mark.parametrize("name", SERVICES)


def _run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # noqa: S603 - programs named here


def _has_compose():
    docker = shutil.which("docker")
    return docker and _run(docker, "compose", "version").returncode == 0


# The template.


@pytest.mark.skipif(not _has_compose(), reason="docker with its compose plugin is not installed")
@pytest.mark.parametrize("profile", [[], ["--profile", "public"]], ids=["inside", "public"])
def test_compose_takes_it(profile, tmp_path):
    folder = shutil.copytree(TEMPLATE, tmp_path / "inngest")
    filled = re.sub(r"(?m)^(\w+)=$", rf"\1={'ab' * 32}", EXAMPLE)
    (folder / ".env").write_text(filled, encoding="utf-8")
    ran = _run("docker", "compose", *profile, "config", "--format", "json", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    services = json.loads(ran.stdout)["services"]
    assert services.keys() == {name for name in SERVICES if profile or "profiles" not in SERVICES[name]}


@every_service
def test_images_are_pinned(name):
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-alpine)?", tag), "a tag that moves brings another version by itself"


@every_service
def test_each_service_says_whether_it_is_well_and_starts_again(name):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"].keys() >= {"test", "interval", "timeout", "retries"}
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    for condition in service.get("depends_on", {}).values():
        assert condition == {"condition": "service_healthy"}


def test_the_server_waits_for_its_databases_and_is_started_as_inngest_says():
    assert SERVICES["inngest"]["depends_on"].keys() == {"postgres", "redis"}
    assert SERVICES["inngest"]["command"] == ["inngest", "start"]
    assert SERVICES["inngest"]["healthcheck"]["test"] == ["CMD", "inngest", "alpha", "doctor", "healthcheck"]


def _texts(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    else:
        yield str(value)


def test_secrets_come_from_the_environment_and_a_missing_one_is_told():
    for text in _texts(SERVICES):
        for variable in re.findall(r"\$\{(\w+)", text):
            message = f"${{{variable}:?set it in .env}}"
            assert variable not in SECRETS or message in text, f"{variable} may be missing without a word in {text}"
    assert {variable for text in _texts(SERVICES) for variable in re.findall(r"\$\{(\w+)", text)} >= SECRETS
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            secret = re.search("PASSWORD|KEY|AUTH|URI", name)
            assert not secret or "${" in value, f"{name} has its value in the file"


def test_the_example_names_each_variable_and_no_secret():
    named = dict(re.findall(r"(?m)^#? ?([A-Z_]+)=(.*)$", EXAMPLE))
    used = {variable for text in _texts(SERVICES) for variable in re.findall(r"\$\{(\w+)", text)}
    assert used <= named.keys()
    assert {name: named[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")
    assert (TEMPLATE / ".gitignore").read_text("utf-8").split() == [".env"]


def test_the_databases_are_kept_and_nobody_else_reaches_them():
    assert COMPOSE["networks"]["inner"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert "ports" not in SERVICES[name]
        assert SERVICES[name]["networks"] == ["inner"]
        assert SERVICES[name]["volumes"][0].partition(":")[0] in COMPOSE["volumes"]
    redis = SERVICES["redis"]["command"]
    assert redis[redis.index("--appendonly") + 1] == "yes"
    assert redis[redis.index("--maxmemory-policy") + 1] == "noeviction"


def test_the_dashboard_is_published_on_this_machine_alone():
    assert SERVICES["inngest"]["ports"] == ["127.0.0.1:8288:8288"]
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["inngest", "proxy"]
    assert SERVICES["proxy"]["profiles"] == ["public"]


class Asked(ServerThread):
    """An HTTP server in place of Inngest, which notes the paths that it is asked for."""

    def __init__(self):
        self.paths = []
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class()))
        self.origin = self.url

    def _handler_class(asked):  # noqa: N805 - the class inside has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.partition("?")[0]
                asked.paths.append(path)
                self.rfile.read(int(self.headers.get("content-length") or 0))
                body = json.dumps(ANSWERS.get(path.rpartition("/")[2], {"ids": ["01E"], "status": 200})).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the base class's name

            def log_message(self, *_):
                pass

        return Handler


@pytest.fixture
def asked(monkeypatch):
    """What an app asks of the engine that it is set up for as the page says."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    [block] = re.findall(r"```bash\n(INNGEST_DEV.*?)```", PAGE, re.DOTALL)
    with Asked() as server:
        for line in block.split():
            name, _, value = line.partition("=")
            monkeypatch.setenv(name, value.replace("https://inngest.example.com", server.origin).replace("...", KEY))
        yield server


def _call(handler, method, query="", body="", **headers):
    event = {
        "rawPath": "/api/inngest",
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {"http": {"method": method}, "domainName": "shop.lambda-url.eu-west-1.on.aws"},
        "body": body,
    }
    return handler(event, None)


def test_the_proxy_lets_through_what_apps_need(asked):
    fn = create_function(id="order", trigger=event_trigger("shop/ordered"))(lambda ctx: "done")
    handler = inngest_lambda([fn], app_id="shop")
    _call(handler, "PUT")
    body = json.dumps({"ctx": {"run_id": "01RUN", "use_api": True}, "event": {"name": "shop/ordered"}, "steps": {}})
    signature = {"x-inngest-signature": sign(body.encode(), KEY, time.time())}
    reply = _call(handler, "POST", "fnId=shop-order", body, **signature)
    assert (reply["statusCode"], reply["body"]) == (200, '"done"'), "the page's settings do not work"
    client = Client()
    client.send({"name": "shop/ordered"})
    client.send_signal("paid")
    assert asked.paths == [
        *("/fn/register", "/v0/runs/01RUN/batch", "/v0/runs/01RUN/actions", f"/e/{KEY}", "/v1/signals")
    ]
    [allowed] = re.findall(r"@apps path (.*)", (TEMPLATE / "Caddyfile").read_text("utf-8"))
    for path in asked.paths:
        assert any(fnmatch(path, pattern) for pattern in allowed.split()), f"{path} is not let through"
    for path in ("/", "/v0/gql", "/metrics", "/v1/events", "/debug/pprof", "/runs"):
        assert not any(fnmatch(path, pattern) for pattern in allowed.split()), f"{path} is let through"


def test_the_page_and_the_template_agree():
    for variable in ("INNGEST_EVENT_KEY", "INNGEST_SIGNING_KEY", "INNGEST_QUEUE_WORKERS", "INNGEST_DOMAIN"):
        assert variable in PAGE
        assert variable in EXAMPLE
    for flag in ("--event-key", "--signing-key", "--postgres-uri", "--redis-uri", "--sdk-url", "--queue-workers"):
        assert f"`{flag}`" in PAGE
    for path in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE):
        assert path.startswith("http") or (ROOT / "docs" / path).exists(), f"the page's link to {path} leads nowhere"


# What it costs.


def _cost(*arguments):
    ran = _run(sys.executable, str(ROOT / "scripts" / "cost_per_million.py"), *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _columns(line):
    return [float(cell.replace(",", "")) for cell in re.split(r"\s{2,}", line.strip())[1:]]


def test_the_page_shows_what_the_script_says():
    [block] = re.findall(r"```text\n\$ scripts/cost\n(.*?)```", PAGE, re.DOTALL)
    assert block == _cost(), "put the output of scripts/cost into docs/engine.md"


def test_the_script_computes_what_the_page_says():
    """The formulas of the page, with its prices, worked out once more."""
    arm, x86, run, request, cpu, memory = 0.0000133334, 0.0000166667, 0.40, 0.20, 0.000024, 0.0000025
    for price in (arm, x86, cpu, memory):
        assert f"{price:.10f}".rstrip("0") in PAGE
    assert f"${run:.2f} a million" in PAGE
    assert f"${request:.2f} a million" in PAGE
    line = _cost(
        "700", "--steps", "4", "--overhead-ms", "10", "--memory-mb", "1024", "--concurrency", "2"
    ).splitlines()[-1]
    calls, seconds = 1.25, 0.710 + 0.010 / 4
    expected = [
        calls * request + seconds * arm * 1e6,
        calls * request + seconds * x86 * 1e6,
        calls * run + (0.8 + 0.1 / 4) * (cpu + memory) * 1e6,
        calls * run + seconds / 2 * (cpu + memory) * 1e6,
    ]
    assert _columns(line) == [round(dollars, 2) for dollars in expected]


@pytest.mark.parametrize("argument", ["0", "-1", "soon"])
def test_what_is_no_duration(argument):
    ran = _run(sys.executable, str(ROOT / "scripts" / "cost_per_million.py"), "--steps", argument)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
