"""What a cold start loads, beside what functions-framework brings."""

from __future__ import annotations

import json
import subprocess
import sys

EVENT = {"name": "app/work", "data": {"name": "Ada"}}
CALL = {"ctx": {"run_id": "R", "attempt": 0}, "event": EVENT, "events": [EVENT], "steps": {}}
COLD_START = """
import os, sys
sys.path[:0] = %r
os.environ.update({"INNGEST_DEV": "1", "K_SERVICE": "orders"})
import flask, functions_framework
from werkzeug.test import EnvironBuilder
known = set(sys.modules)
from inngest_serverless import create_function, event_trigger, inngest_gcf

@create_function(id="work", trigger=event_trigger("app/work"))
def work(ctx):
    return ctx.step.run("only", lambda: ctx.event.data["name"])

handler = inngest_gcf([work])
builder = EnvironBuilder("/?fnId=orders-work&stepId=step", method="POST", data=%r)
body, status, headers = handler(flask.Request(builder.get_environ()))
assert status == 206 and b'"data":"Ada"' in body, body
print(*sorted(set(sys.modules) - known))
"""


def test_a_first_call_of_a_sync_function_loads_nothing_expensive():
    program = COLD_START % (sys.path, json.dumps(CALL).encode())
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    loaded = set(ran.stdout.split())
    assert "inngest_serverless.gcp.handler" in loaded
    tops = {name.partition(".")[0] for name in loaded if not name.startswith("inngest_serverless")}
    assert not tops & {"asyncio", "concurrent", "httpx", "pydantic", "pydantic_core", "starlette", "uvicorn"}
    assert not {"inngest_serverless.gcp.forward", "inngest_serverless.aws"} & loaded
    assert len(tops) <= 3, f"import these where they are needed, inside the function: {tops}"
