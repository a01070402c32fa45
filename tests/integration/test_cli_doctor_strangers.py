"""The doctor tells who answers in an app's place: gateways, firewalls, runtimes that gave up, or nobody at all."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from ipaddress import ip_address

import pytest
from cli_server import KEYS, PATH, ROOT, app, check, doctor, reply, served

from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.functions_framework import FunctionsFramework
from inngest_serverless.local.gateway import HttpReply
from inngest_serverless.local.rie import LambdaInvocationError, LambdaRuntime

pytestmark = pytest.mark.integration


class TestStrangers:
    @pytest.mark.parametrize(
        ("answer", "check_name", "why"),
        [
            (
                reply(403, "<html>Access denied</html>", content_type="text/html"),
                "firewall",
                "is that of a firewall (WAF)",
            ),
            (
                reply(403, "<html>403 Forbidden</html>", content_type="text/html", server="awselb/2.0"),
                "firewall",
                "the load balancer blocks",
            ),
            (
                reply(403, "Just a moment...", cf_mitigated="challenge"),
                "firewall",
                "Cloudflare takes the caller for a robot",
            ),
            (
                reply(403, "<h1>The request could not be satisfied.</h1>", server="CloudFront"),
                "firewall",
                "CloudFront blocks",
            ),
            (
                reply(403, '{"Message":"Forbidden"}', x_amzn_errortype="AccessDeniedException"),
                "access",
                "sign with AWS credentials",
            ),
            (reply(403, '{"message":"Missing Authentication Token"}'), "route", "no such path and method"),
            (reply(403, '{"message":"Forbidden"}'), "access", "wants an API key, or a firewall"),
            (
                reply(403, '{"Message":"User: anonymous is not authorized to perform: execute-api:Invoke"}'),
                "access",
                "resource policy",
            ),
            (
                reply(403, "Your client does not have permission to get URL <code>/</code>", content_type="text/html"),
                "access",
                "a Google identity",
            ),
            (reply(401, '{"message":"Unauthorized"}'), "access", "wants callers to log in"),
            (reply(404, '{"message":"Not Found"}', apigw_requestid="x"), "route", "no route for this path"),
            (reply(404, "<html>Page not found</html>", server="Google Frontend"), "route", "no service at this host"),
            (reply(405, ""), "route", "other methods only"),
            (reply(429, '{"Reason":"ConcurrentInvocationLimitExceeded"}'), "throttled", "no more instances"),
            (reply(502, "Internal Server Error", x_amzn_requestid="x"), "function", "Lambda allows 3 seconds"),
            (reply(504, '{"message": "Endpoint request timed out"}'), "timeout", "API Gateway waits for 29 seconds"),
            (
                reply(503, '{"message":"Service Unavailable"}', apigw_requestid="x"),
                "timeout",
                "waits for 30 seconds at most",
            ),
            (reply(504, "upstream request timeout"), "timeout", "Cloud Run service's time"),
            (reply(504, "<html>504 Gateway Time-out</html>"), "timeout", "a gateway waited"),
            (reply(503, "no healthy upstream"), "function", "its gateway could pass on"),
            (
                reply(200, "<html>Welcome</html>", content_type="text/html; charset=utf-8"),
                "sdk",
                "another program answers, with a web page",
            ),
            (reply(200, '{"status":"UP"}', content_type="application/json"), "sdk", "no X-Inngest-SDK header"),
        ],
        ids=lambda value: value if isinstance(value, str) else getattr(value, "status", value),
    )
    def test_each_is_known(self, answer, check_name, why):
        code, findings, _ = check(lambda *_: answer)
        assert code == 1
        problems = [finding for finding in findings.values() if finding["level"] == "problem"]
        assert [finding["check"] for finding in problems] == [check_name], problems
        assert why in problems[0]["why"]
        assert f"HTTP status {answer.status}" in problems[0]["what"]
        assert problems[0]["do"]

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_for_one_method_only(self, method):
        inner = app()

        def endpoint(called, *request):
            return reply(405, "") if called == method else inner(called, *request)

        code, findings, _ = check(endpoint)
        assert code == 1
        assert findings["route"]["what"].startswith(f"{method} http://127.0.0.1")


class TestTimeLimits:
    @pytest.mark.parametrize(
        ("header", "said"),
        [
            ("apigw-requestid", "an HTTP API of API Gateway: a call may take 30 seconds"),
            ("x-amz-apigw-id", "29 seconds"),
        ],
    )
    def test_of_the_trigger(self, header, said):
        inner = app()

        def endpoint(*request):
            got = inner(*request)
            return HttpReply(got.status, got.headers | {header: "x"}, got.body)

        code, findings, _ = check(endpoint)
        assert (code, findings["time-limit"]["level"]) == (0, "note")
        assert said in findings["time-limit"]["what"]

    def test_nobody_answers(self):
        free = threading.Event()

        def endpoint(*_):
            free.wait(60)
            return reply(200, "")

        with served(endpoint) as origin:
            code, findings, _ = doctor(origin, "--timeout", "0.5", **KEYS)
            free.set()
        assert code == 1
        assert "nothing came for 0.5 seconds" in findings["timeout"]["what"]


class TestUnreachable:
    def test_no_such_host(self):
        code, findings, _ = doctor("https://nowhere.invalid/api/inngest", **KEYS)
        assert code == 1
        assert findings["dns"]["what"] == "GET https://nowhere.invalid/api/inngest gets no reply: there is no such host"

    def test_nobody_listens(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            code, findings, _ = doctor(f"http://127.0.0.1:{taken.getsockname()[1]}/", **KEYS)
        assert code == 1
        assert findings["connection"]["what"].endswith("the connection was refused")

    @pytest.mark.parametrize(
        ("days", "said"), [((-1, 30), "self-signed certificate"), ((-30, -1), "certificate has expired")]
    )
    def test_certificates(self, days, said, tmp_path):
        with served(app(), tls=_certificate(tmp_path, *days)) as origin:
            trusted = {"SSL_CERT_FILE": str(tmp_path / "cert.pem")} if "expired" in said else {}
            code, findings, _ = doctor(origin + PATH, **KEYS, **trusted)
        assert code == 1
        assert said in findings["tls"]["what"]
        assert "a certificate of its own name" in findings["tls"]["do"]

    def test_another_name(self, tmp_path):
        with served(app(), tls=_certificate(tmp_path, -1, 30)) as origin:
            url = origin.replace("127.0.0.1", "localhost") + PATH
            code, findings, _ = doctor(url, **KEYS, SSL_CERT_FILE=str(tmp_path / "cert.pem"))
        assert code == 1
        assert "certificate is not valid for 'localhost'" in findings["tls"]["what"]

    def test_a_certificate_that_is_right(self, tmp_path):
        with served(app(), tls=_certificate(tmp_path, -1, 30)) as origin:
            code, findings, _ = doctor(origin + PATH, **KEYS, SSL_CERT_FILE=str(tmp_path / "cert.pem"))
        assert code == 0, findings

    def test_http_where_https_is_meant(self):
        with served(app()) as origin:
            code, findings, _ = doctor(origin.replace("http:", "https:") + PATH, **KEYS)
        assert code == 1
        assert "tls" in findings


class TestRealRuntimes:
    """The real thing behind the URL."""

    SOURCE = (
        "import time\n"
        "from inngest_serverless import create_function, event_trigger, inngest_gcf, inngest_lambda\n"
        "fn = create_function(id='fn', trigger=event_trigger('t/fn'))(print)\n"
        "on_lambda = inngest_lambda([fn], app_id='app')\n"
        "on_gcf = inngest_gcf([fn], app_id='app')\n"
        "def slow(event, context):\n"
        "    time.sleep(60)\n"
    )

    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "main.py").write_text(self.SOURCE)
        return tmp_path

    def test_functions_framework(self, folder):
        env = {**KEYS, "PYTHONPATH": str(ROOT)}
        with FunctionsFramework("on_gcf", source=folder / "main.py", env=env) as framework:
            code, findings, document = doctor(framework.origin + PATH, INNGEST_EVENT_KEY="evt", **KEYS)
        assert (code, {finding["level"] for finding in findings.values()}) == (0, {"ok"}), findings
        assert document["deployment"]["framework"] == "google-cloud-functions"

    def test_lambda(self, folder):
        # A function URL has https always, which the server of this test has not.
        runtimes = []

        def invoke(event):
            return runtimes[0].invoke(event)

        with served(lambda_endpoint(invoke)) as origin:
            env = {**KEYS, "PYTHONPATH": str(ROOT), "INNGEST_SERVE_ORIGIN": origin}
            with LambdaRuntime("main.on_lambda", cwd=folder, env=env) as runtime:
                runtimes.append(runtime)
                code, findings, _ = doctor(origin + PATH, INNGEST_EVENT_KEY="evt", **KEYS)
        assert (code, {finding["level"] for finding in findings.values()}) == (0, {"ok"}), findings

    def test_a_lambda_that_runs_out_of_time(self, folder):
        env = {**KEYS, "PYTHONPATH": str(ROOT)}
        with LambdaRuntime("main.slow", cwd=folder, env=env, timeout_seconds=1) as runtime:

            def endpoint(*_):
                # What a function URL says of it.
                with pytest.raises(LambdaInvocationError, match="timed out"):
                    runtime.invoke({})
                return reply(502, "Internal Server Error", x_amzn_requestid="x")

            code, findings, _ = check(endpoint)
        assert code == 1
        assert "ran out of time" in findings["function"]["why"]
        assert "HTTP status 502 and 'Internal Server Error', after " in findings["function"]["what"]


def _certificate(folder, first_day, last_day):
    """A certificate for 127.0.0.1, by nobody but itself; in ``cert.pem``."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=first_day))
        .not_valid_after(now + dt.timedelta(days=last_day))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
