import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.gateway import TRIGGERS, HttpReply, from_lambda_reply, to_lambda_event

GOLDEN = Path(__file__).parents[2] / "golden" / "aws"
EXECUTE_API = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
REST_API = "https://f6g7h8i9j0.execute-api.eu-west-1.amazonaws.com"
FUNCTION_URL = "https://k7vq2m4xnd5w3rjtz6hbyc8fpa0sgeul.lambda-url.eu-west-1.on.aws"
BALANCER = "lambda-alb-123456789.eu-west-1.elb.amazonaws.com"
ROUTE = {"routeKey", "pathParameters"}  # the gateway routes everything to `$default`

# file, trigger, stage, the URL of tests/golden/aws/README.md, what the URL cannot tell
CASES = [
    ("function_url.json", "function-url", None, f"{FUNCTION_URL}/api/inngest", set()),
    ("http_api_v2_default_stage.json", "http-api", None, f"{EXECUTE_API}/api/inngest", set()),
    ("http_api_v2_named_stage.json", "http-api", "prod", f"{EXECUTE_API}/prod/api/inngest", ROUTE),
    ("http_api_v2_custom_domain.json", "http-api", "prod", "https://api.example.com/api/inngest", ROUTE | {"apiId"}),
    ("http_api_v1_named_stage.json", "http-api-v1", "prod", f"{EXECUTE_API}/prod/api/inngest", set()),
    ("rest_api_stage.json", "rest-api", "prod", f"{REST_API}/prod/api/inngest", set()),
    ("rest_api_custom_domain.json", "rest-api", None, "https://api.example.com/durable/api/inngest", ROUTE | {"apiId"}),
    ("alb_single.json", "alb", None, f"https://{BALANCER}/api/inngest", set()),
    ("alb_multi_value.json", "alb-multi-value", None, f"http://{BALANCER}/api/inngest", set()),
]
# Names that each deployment, or each request, has of its own.
OWN = {
    "sourceIp",
    "x-forwarded-for",
    "x-amzn-trace-id",
    "resourceId",
    "deploymentId",
    "extendedRequestId",
    "targetGroupArn",
}
TLS = {"x-amzn-tls-cipher-suite", "x-amzn-tls-version"}

QUERY = "tag=a&tag=b&who=Zo%C3%AB%20%2B&plus=a+b&empty="
LAST = {"tag": "b", "who": "Zoë +", "plus": "a b", "empty": ""}
LISTS = {"tag": ["a", "b"], "who": ["Zoë +"], "plus": ["a b"], "empty": [""]}
RAW = {"tag": "b", "who": "Zo%C3%AB%20%2B", "plus": "a+b", "empty": ""}


def event_of(trigger, url="https://api.example.com/api/inngest", headers=None, body=b"", method="POST", **options):
    return to_lambda_event(trigger, method, url, headers or {}, body, **options)


def masked(value, hidden):
    """The value with "*" in place of what the hidden names hold, and without the TLS headers."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k.lower() not in TLS}
        return {
            k: "*" if {k, k.lower()} & (OWN | hidden) else masked(v, hidden)
            for k, v in kept.items()
            if k != "pathParameters" or k not in hidden
        }
    return [masked(each, hidden) for each in value] if isinstance(value, list) else value


def header_values(event):
    if event.get("multiValueHeaders"):
        return {name.lower(): ", ".join(values) for name, values in event["multiValueHeaders"].items()}
    return {name.lower(): value for name, value in event["headers"].items()}


def body_of(event):
    body = event.get("body") or ""
    return b64decode(body) if event["isBase64Encoded"] else body.encode()


@pytest.mark.parametrize(("file", "trigger", "stage", "url", "hidden"), CASES, ids=[case[0] for case in CASES])
def test_the_event_is_the_golden_one(file, trigger, stage, url, hidden):
    golden = json.loads((GOLDEN / file).read_text("utf-8"))
    sent = golden.get("headers") or {name: values[-1] for name, values in golden["multiValueHeaders"].items()}
    request_id = golden["requestContext"].get("requestId", "")
    event = event_of(
        trigger,
        f"{url}?fnId=app-fn&stepId=step",
        sent,
        body_of(golden),
        stage=stage,
        now_millis=1767268800123,
        request_id=request_id,
    )
    assert masked(event, hidden) == masked(golden, hidden)
    assert json.loads(json.dumps(event)) == event


def test_every_trigger_has_a_golden_event():
    assert {case[1] for case in CASES} == set(TRIGGERS)


@pytest.mark.parametrize("trigger", ["function-url", "http-api"])
def test_payload_v2_keeps_the_raw_query_and_joins_repeated_parameters(trigger):
    event = event_of(trigger, f"https://api.example.com/?{QUERY}")
    assert event["rawQueryString"] == QUERY
    assert event["queryStringParameters"] == LAST | {"tag": "a,b"}


@pytest.mark.parametrize("trigger", ["http-api-v1", "rest-api"])
def test_payload_v1_decodes_and_lists_parameters(trigger):
    event = event_of(trigger, f"https://api.example.com/?{QUERY}")
    assert event["queryStringParameters"] == LAST
    assert event["multiValueQueryStringParameters"] == LISTS


def test_load_balancers_do_not_decode_parameters():
    url = f"https://api.example.com/?{QUERY}&a%5B%5D=1"
    assert event_of("alb", url)["queryStringParameters"] == RAW | {"a%5B%5D": "1"}
    lists = {name: [value] for name, value in RAW.items()} | {"tag": ["a", "b"], "a%5B%5D": ["1"]}
    assert event_of("alb-multi-value", url)["multiValueQueryStringParameters"] == lists


@pytest.mark.parametrize(
    ("trigger", "absent", "empty"),
    [
        ("function-url", {"body", "queryStringParameters", "cookies"}, {"rawQueryString": ""}),
        ("http-api", {"body", "queryStringParameters", "cookies"}, {"rawQueryString": ""}),
        ("http-api-v1", set(), {"body": None, "queryStringParameters": None, "multiValueQueryStringParameters": None}),
        ("rest-api", set(), {"body": None, "queryStringParameters": None, "multiValueQueryStringParameters": None}),
        ("alb", {"multiValueHeaders", "multiValueQueryStringParameters"}, {"body": "", "queryStringParameters": {}}),
        ("alb-multi-value", {"headers", "queryStringParameters"}, {"body": "", "multiValueQueryStringParameters": {}}),
    ],
)
def test_what_is_not_in_the_request(trigger, absent, empty):
    event = event_of(trigger, method="GET", base64=True)
    assert not absent & event.keys()
    assert {name: event[name] for name in empty} == empty
    assert event["isBase64Encoded"] is False


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize(
    ("body", "options", "is_base64"),
    [
        ('{"name":"Zoë ✓"}'.encode(), {}, False),
        ('{"name":"Zoë ✓"}'.encode(), {"base64": True}, True),
        (b'{"name":"\xff\xfe"}', {}, True),
    ],
    ids=["unicode", "forced", "not UTF-8"],
)
def test_the_bytes_of_the_body_survive(trigger, body, options, is_base64):
    event = event_of(trigger, headers={"Content-Type": "application/json; charset=utf-8"}, body=body, **options)
    assert event["isBase64Encoded"] is is_base64
    assert body_of(event) == body


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("headers", [{"content-type": "application/octet-stream"}, {"Content-Encoding": "identity"}])
def test_only_a_rest_api_takes_every_type_for_text(trigger, headers):
    event = event_of(trigger, headers=headers, body=b"plain")
    assert event["isBase64Encoded"] is (trigger != "rest-api")
    assert body_of(event) == b"plain"


def test_a_body_that_is_not_text_cannot_be_delivered_as_text():
    with pytest.raises(ValueError, match="utf-8"):
        event_of("function-url", body=b"\xff", base64=False)


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_headers_of_the_client_and_of_the_platform(trigger):
    sent = {"X-Inngest-Signature": "t=1&s=ab", "HOST": "elsewhere", "Content-Length": "7", "User-Agent": "curl"}
    event = event_of(trigger, "http://localhost:8288/api/inngest", sent, b"{}")
    values = header_values(event)
    assert values["x-inngest-signature"] == "t=1&s=ab"
    assert values["host"] == "localhost:8288"
    assert (values["x-forwarded-proto"], values["x-forwarded-port"]) == ("http", "8288")
    assert values["user-agent"] == "curl"
    assert values.get("content-length") == (None if trigger == "rest-api" else "2")


def test_letter_case_of_header_names():
    sent = {"tEsT-HeAdEr": "1", "user-agent": "curl"}
    for trigger in ("http-api-v1", "rest-api"):
        event = event_of(trigger, headers=sent)
        assert {"tEsT-HeAdEr", "User-Agent", "Host", "X-Forwarded-For"} <= event["headers"].keys()
        assert event["requestContext"]["identity"]["userAgent"] == "curl"
        assert event["multiValueHeaders"] == {name: [value] for name, value in event["headers"].items()}
    for trigger in ("function-url", "http-api", "alb"):
        assert all(name == name.lower() for name in event_of(trigger, headers=sent)["headers"])
    assert "test-header" in event_of("alb-multi-value", headers=sent)["multiValueHeaders"]


def test_cookies():
    url = event_of("function-url", headers={"Cookie": "a=1; b=2"})
    assert (url["cookies"], url["headers"]["cookie"]) == (["a=1", "b=2"], "a=1; b=2")
    api = event_of("http-api", headers={"Cookie": "a=1; b=2"})
    assert api["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in api["headers"]
    assert header_values(event_of("rest-api", headers={"Cookie": "a=1; b=2"}))["cookie"] == "a=1; b=2"


def test_percent_encoded_paths():
    url = "https://api.example.com/caf%C3%A9/a%20b"
    event = event_of("function-url", url)
    assert (event["rawPath"], event["requestContext"]["http"]["path"]) == ("/caf%C3%A9/a%20b", "/café/a b")
    event = event_of("http-api", url)
    assert (event["rawPath"], event["requestContext"]["http"]["path"]) == ("/café/a b", "/café/a b")
    for trigger in ("http-api-v1", "rest-api", "alb", "alb-multi-value"):
        assert event_of(trigger, url)["path"] == "/caf%C3%A9/a%20b"


@pytest.mark.parametrize(
    ("path", "stage", "resource"),
    [
        ("/prod/api/inngest", "prod", "/api/inngest"),
        ("/prod", "prod", "/"),
        ("/prod/", "prod", "/"),
        ("/production/api", "prod", "/production/api"),
        ("/api", None, "/api"),
        ("", "prod", "/"),
    ],
)
def test_the_stage_of_a_rest_api_is_only_in_the_context(path, stage, resource):
    event = event_of("rest-api", f"https://api.example.com{path}", stage=stage)
    assert event["path"] == resource
    assert event["requestContext"]["path"] == (path or "/")
    assert event["requestContext"]["stage"] == "prod"
    proxied = event["resource"] == "/{proxy+}"
    assert event["pathParameters"] == ({"proxy": resource[1:]} if proxied else None)


def test_the_stage_of_an_http_api_is_in_the_path_even_behind_a_custom_domain():
    assert event_of("http-api", "https://api.example.com/dev/a", stage="dev")["rawPath"] == "/dev/a"
    assert event_of("http-api", "https://api.example.com/a", stage="dev")["rawPath"] == "/dev/a"
    assert event_of("http-api", "https://api.example.com/a")["requestContext"]["stage"] == "$default"
    event = event_of("http-api-v1", "https://api.example.com/dev/a", stage="dev")
    assert (event["path"], event["requestContext"]["path"], event["resource"]) == ("/dev/a", "/dev/a", "/a")


@pytest.mark.parametrize("trigger", ["function-url", "alb", "alb-multi-value"])
def test_other_triggers_have_no_stages(trigger):
    event = event_of(trigger, "https://api.example.com/dev/a", stage="dev")
    assert event.get("rawPath", event.get("path")) == "/dev/a"
    assert event["requestContext"].get("stage", "$default") == "$default"


@pytest.mark.parametrize("url", ["/api/inngest", "api.example.com/api", ""])
def test_the_url_must_be_absolute(url):
    with pytest.raises(ValueError, match="not an absolute URL"):
        event_of("alb", url)


def test_unknown_triggers():
    with pytest.raises(ConfigurationError, match=r"unknown trigger 'sqs'; the known ones are function-url, http-api,"):
        event_of("sqs")
    with pytest.raises(ConfigurationError, match="alb-multi-value"):
        from_lambda_reply("sqs", {"statusCode": 200})


def reply_in_form_of(trigger, **fields):
    """The least reply the trigger accepts, with some fields changed (`...` removes one)."""
    name = "multiValueHeaders" if trigger == "alb-multi-value" else "headers"
    reply = {"statusCode": 206, name: {}, "body": "", "isBase64Encoded": False} | fields
    return {name: value for name, value in reply.items() if value is not ...}


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_replies(trigger):
    single, multi = {"Content-Type": "application/json"}, {"Content-Type": ["application/json"]}
    headers = {"multiValueHeaders": multi} if trigger == "alb-multi-value" else {"headers": single}
    reply = reply_in_form_of(trigger, body='{"a":"é"}', **headers)
    assert from_lambda_reply(trigger, reply) == HttpReply(
        206, {"content-type": "application/json"}, '{"a":"é"}'.encode()
    )
    encoded = reply_in_form_of(trigger, body=b64encode(b"\xff\x00").decode(), isBase64Encoded=True)
    assert from_lambda_reply(trigger, encoded) == HttpReply(206, {}, b"\xff\x00")
    for body in (None, ...):
        assert from_lambda_reply(trigger, reply_in_form_of(trigger, body=body, isBase64Encoded=...)).body == b""


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"statusCode": ...}, "statusCode must be an integer from 100 to 599, not None"),
        ({"statusCode": "200"}, "statusCode must be an integer from 100 to 599, not '200'"),
        ({"statusCode": True}, "statusCode must be"),
        ({"statusCode": 99}, "statusCode must be"),
        ({"body": {"a": 1}}, "body must be a string, not dict"),
        ({"body": b"bytes"}, "body must be a string, not bytes"),
        ({"body": "*", "isBase64Encoded": True}, "body is not base64"),
        ({"isBase64Encoded": "false"}, "isBase64Encoded must be a boolean, not 'false'"),
    ],
)
def test_replies_that_every_platform_refuses(trigger, fields, problem):
    with pytest.raises(ValueError, match=problem):
        from_lambda_reply(trigger, reply_in_form_of(trigger, **fields))


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("reply", [None, "ok", [200, "ok"]])
def test_replies_that_are_no_objects(trigger, reply):
    with pytest.raises(ValueError, match="the reply must be an object, not"):
        from_lambda_reply(trigger, reply)


@pytest.mark.parametrize(
    ("trigger", "fields", "problem"),
    [
        ("rest-api", {"cookies": ["a=1"]}, r"a REST API refuses a reply with \['cookies'\]"),
        ("rest-api", {"statusDescription": "200 OK"}, "statusDescription"),
        ("rest-api", {"headers": {"a": ["b"]}}, "header 'a' must be a string"),
        ("rest-api", {"headers": "x"}, "headers must be an object"),
        ("rest-api", {"multiValueHeaders": {"a": "b"}}, "header 'a' must be a list of strings, not 'b'"),
        ("http-api-v1", {"multiValueHeaders": {"a": [None]}}, "header 'a' must be a string"),
        ("http-api", {"cookies": "a=1"}, "header 'set-cookie' must be a list of strings"),
        ("function-url", {"headers": {"a": None}}, "header 'a' must be a string"),
        ("alb", {"headers": ...}, "headers must be an object, not None"),
        ("alb", {"headers": None}, "headers must be an object, not None"),
        ("alb", {"headers": {"a": True}}, "header 'a' must be a string, not True"),
        ("alb-multi-value", {"multiValueHeaders": ...}, "multiValueHeaders must be an object, not None"),
        ("alb-multi-value", {"multiValueHeaders": ..., "headers": {"a": "b"}}, "multiValueHeaders must be an object"),
        ("alb-multi-value", {"multiValueHeaders": {"a": [1]}}, "header 'a' must be a string, not 1"),
    ],
)
def test_replies_that_one_platform_refuses(trigger, fields, problem):
    with pytest.raises(ValueError, match=problem):
        from_lambda_reply(trigger, reply_in_form_of(trigger, **fields))


def test_api_gateway_merges_both_kinds_of_headers():
    fields = {"headers": {"X-A": "1", "X-B": 2, "X-C": True}, "multiValueHeaders": {"x-a": ["0", "1"]}}
    for trigger in ("http-api-v1", "rest-api"):
        reply = from_lambda_reply(trigger, reply_in_form_of(trigger, **fields))
        assert reply.headers == {"x-a": "0, 1", "x-b": "2", "x-c": "true"}
    for trigger in ("function-url", "http-api", "http-api-v1", "rest-api"):
        assert from_lambda_reply(trigger, reply_in_form_of(trigger, headers=None)).headers == {}


def test_payload_v2_sets_cookies_and_knows_no_multi_value_headers():
    fields = {"cookies": ["a=1", "b=2; Secure"], "multiValueHeaders": {"x-a": ["1"]}}
    for trigger in ("function-url", "http-api"):
        reply = from_lambda_reply(trigger, reply_in_form_of(trigger, **fields))
        assert reply.headers == {"set-cookie": "a=1, b=2; Secure"}


def test_a_load_balancer_looks_at_one_kind_of_headers():
    both = {"headers": {"x-a": "single"}, "multiValueHeaders": {"x-a": ["multi", "value"]}}
    assert from_lambda_reply("alb", reply_in_form_of("alb", **both)).headers == {"x-a": "single"}
    reply = from_lambda_reply("alb-multi-value", reply_in_form_of("alb-multi-value", **both))
    assert reply.headers == {"x-a": "multi, value"}
