"""Whether an artifact works by itself: run by the interpreter that Lambda will have, as ``python -I -S``.

Arguments: the artifact's folder, folders of layers with commas between, and handlers (``module.function``). It imports
the handlers, then has a function of its own called, signed, through the artifact's toolkit: none of the app's own runs.
"""

import hmac
import json
import os
import sys
import time
from importlib import import_module

KEY = "ab" * 32


def main() -> int:
    """Check it; what is wrong is the last line of the standard error."""
    folder, layers, *handlers = sys.argv[1:]
    # As Lambda has them: the code first, layers behind, then the standard library.
    sys.path[:0] = [folder, *filter(None, layers.split(","))]
    # Enough for an app to be made: no key is real, and nothing is sent.
    os.environ.update(AWS_LAMBDA_FUNCTION_NAME="check", AWS_DEFAULT_REGION="us-east-1", AWS_REGION="us-east-1")
    os.environ.update(INNGEST_SIGNING_KEY=f"signkey-test-{KEY}", INNGEST_EVENT_KEY="check", INNGEST_APP_ID="check")
    for handler in handlers:
        module, _, name = handler.rpartition(".")
        try:
            getattr(import_module(module), name)
        except Exception as error:  # noqa: BLE001 - whatever the app's code raises
            print(f"{handler} cannot be imported from the artifact: {_told(error)}", file=sys.stderr)
            return 1
    try:
        import_module("inngest_serverless.aws.handler")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("inngest_serverless"):
            return 0  # no handler serves functions: a forwarder, say
        raise
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever is missing shows here
        print(f"the artifact does not answer a signed call: {_told(error)}", file=sys.stderr)
        return 1
    return 0


def call() -> None:
    """Have a step of a sync and of an async function run."""
    from inngest_serverless import create_function, event_trigger, inngest_lambda

    @create_function(id="sync", trigger=event_trigger("check/run"))
    def run(ctx: "object") -> object:
        return ctx.step.run("only", int)  # type: ignore[attr-defined]

    @create_function(id="async", trigger=event_trigger("check/run"))
    async def run_async(ctx: "object") -> object:
        return await ctx.step.run("only", int)  # type: ignore[attr-defined]

    handler = inngest_lambda([run, run_async], app_id="check")
    for function in ("sync", "async"):
        reply = handler(_event(function), None)
        opcodes = json.loads(reply["body"])
        if reply["statusCode"] != 206 or opcodes[0]["data"] != 0:  # noqa: PLR2004 - the protocol's
            raise RuntimeError(f"status {reply['statusCode']}, {opcodes}")


def _event(function: str) -> "dict[str, object]":
    event = {"name": "check/run", "data": {}, "id": "1", "ts": 1}
    ctx = {"attempt": 0, "fn_id": "f", "run_id": "r", "stack": {"current": 0, "stack": []}}
    body = json.dumps({"ctx": ctx, "event": event, "events": [event], "steps": {}, "version": 1})
    at = str(int(time.time()))
    digest = hmac.new(KEY.encode(), body.encode() + at.encode(), "sha256").hexdigest()
    return {
        "version": "2.0",
        "rawPath": "/api/inngest",
        "rawQueryString": f"fnId=check-{function}&stepId=step",
        "headers": {"content-type": "application/json", "x-inngest-signature": f"t={at}&s={digest}"},
        "requestContext": {"domainName": "check.example.com", "http": {"method": "POST"}, "stage": "$default"},
        "body": body,
        "isBase64Encoded": False,
    }


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


sys.exit(main())
