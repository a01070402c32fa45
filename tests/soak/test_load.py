"""Many calls of all kinds, one process: every answer right, and nothing left behind.

The short form runs with every test run. The long one: ``INNGEST_SOAK=50000 scripts/test tests/soak``, with ``-s`` to see
what was measured.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest
from process_watch import ProcessWatch, workers
from soak_calls import KEY, check, exchanges

from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.functions_framework import FunctionsFramework
from inngest_serverless.local.rie import LambdaRuntime

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
COUNT = int(os.environ.get("INNGEST_SOAK", "0")) or 3_000
SAMPLES = 10
# The caches fill, and the allocator finds its size.
WARM_UP = max(COUNT // 3, 3_000)
GROWTH_KB = 2_048


def greet(endpoint):
    """Send the first call, which imports the handler."""
    [first] = exchanges(1)
    reply = endpoint(first.method, first.url, first.headers, first.body)
    check(first, reply.status, reply.body)


def load(endpoint, watch, threads):
    """Send all calls, so many at once, and look at the process now and then."""

    def exchange(one):
        reply = endpoint(one.method, one.url, one.headers, one.body)
        check(one, reply.status, reply.body)

    stream = exchanges(WARM_UP + COUNT)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(exchange, islice(stream, WARM_UP)))
        watch.sample(0)
        for number in range(SAMPLES):
            list(pool.map(exchange, islice(stream, COUNT // SAMPLES)))
            watch.sample((number + 1) * (COUNT // SAMPLES))


def test_a_lambda_environment_stays_as_it_is():
    settings = {"INNGEST_SIGNING_KEY": KEY}
    with LambdaRuntime("soak_app.handler", cwd=HERE, env=settings) as runtime:
        endpoint = lambda_endpoint(runtime.invoke)
        greet(endpoint)
        [pid] = workers(runtime.pid)
        watch = ProcessWatch(pid)
        load(endpoint, watch, threads=1)
        print(watch.check(GROWTH_KB))  # noqa: T201 - what was measured


def test_an_instance_of_a_cloud_function_stays_as_it_is():
    settings = {"INNGEST_SIGNING_KEY": KEY, "THREADS": "8"}
    with FunctionsFramework("serve", source=HERE / "soak_app.py", env=settings) as server:
        greet(server.exchange)  # the worker is there once it has answered
        [worker] = workers(server.process.pid)
        watch = ProcessWatch(worker)
        load(server.exchange, watch, threads=8)
        print(watch.check(GROWTH_KB))  # noqa: T201 - what was measured
