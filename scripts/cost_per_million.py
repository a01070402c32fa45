"""What a million steps cost where the functions run: requests and the time that is billed.

A run of n steps makes n + 1 calls: one for each step, and one for the end of the function. Every call takes the
overhead of starting from the first line; the call of a step takes the step's body as well.

    calls of a step     = 1 + 1 / n
    Lambda              = calls * request + billed seconds * GB * GB-second
    Cloud Run functions = calls * request + billed seconds * (vCPU * vCPU-second + GiB * GiB-second)

Lambda bills each call up to the next millisecond, Cloud Run the time of an instance up to the next 100. An instance of
Cloud Run that serves several calls at once is billed once for all of them.

Not in it: free tiers, discounts for much use, cold starts, traffic, logs, what the steps themselves use, and Inngest.

Prices: list prices in US dollars as published in November 2026, of US East (N. Virginia) up to the first 6 billion
GB-seconds a month, and of Google's tier 1 regions such as us-central1, with request-based billing.
Sources: https://aws.amazon.com/lambda/pricing/ and https://cloud.google.com/run/pricing
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from math import ceil

from inngest_serverless.local.cost import GB_SECOND_USD as LAMBDA_GB_SECOND
from inngest_serverless.local.cost import REQUEST_USD as LAMBDA_REQUEST

MILLION = 1_000_000

CLOUD_RUN_REQUEST = 0.40 / MILLION
CLOUD_RUN_VCPU_SECOND = 0.000024
CLOUD_RUN_GIB_SECOND = 0.0000025


@dataclass(frozen=True, slots=True)
class Work:
    """What is computed.

    Attributes:
        body_ms: How long the body of a step takes, in milliseconds.
        overhead_ms: What each call takes besides, in milliseconds.
        steps: Steps in a run.
        memory_mb: Memory of the function, in MB (Lambda) or MiB (Cloud Run).
        vcpu: CPUs of an instance of Cloud Run.
        concurrency: Calls that an instance of Cloud Run serves at once.
    """

    body_ms: int
    overhead_ms: int = 5
    steps: int = 5
    memory_mb: int = 512
    vcpu: float = 1
    concurrency: int = 1

    @property
    def calls(self) -> float:
        """Calls for each step."""
        return 1 + 1 / self.steps

    def billed_seconds(self, unit_ms: int, sharing: int = 1) -> float:
        """The time that is billed for each step, if each call is billed in units of so many milliseconds."""
        step, end = ((ms / sharing) for ms in (self.body_ms + self.overhead_ms, self.overhead_ms))
        if sharing == 1:
            step, end = (ceil(ms / unit_ms) * unit_ms for ms in (step, end))
        return (step + end / self.steps) / 1000


def lambda_cost(work: Work, architecture: str) -> float:
    """Dollars for a million steps on Lambda, behind a function URL, which costs nothing by itself."""
    gb_seconds = work.billed_seconds(1) * work.memory_mb / 1024
    return MILLION * (work.calls * LAMBDA_REQUEST + gb_seconds * LAMBDA_GB_SECOND[architecture])


def cloud_run_cost(work: Work) -> float:
    """Dollars for a million steps on Cloud Run functions."""
    a_second = work.vcpu * CLOUD_RUN_VCPU_SECOND + work.memory_mb / 1024 * CLOUD_RUN_GIB_SECOND
    return MILLION * (work.calls * CLOUD_RUN_REQUEST + work.billed_seconds(100, work.concurrency) * a_second)


def report(bodies_ms: list[int], overhead_ms: int, steps: int, memory_mb: int, concurrency: int) -> str:
    """A table: one line for each duration of a step's body."""
    title = f"US dollars a million steps; {memory_mb} MB, {steps} steps a run, {overhead_ms} ms of overhead a call"
    together = f"Cloud Run, {concurrency} at once"
    columns = ("a step takes", "Lambda arm64", "Lambda x86_64", "Cloud Run", together)
    lines = [title, "", "  ".join(columns)]
    for body_ms in bodies_ms:
        work = Work(body_ms, overhead_ms, steps, memory_mb)
        shared = Work(body_ms, overhead_ms, steps, memory_mb, concurrency=concurrency)
        costs = lambda_cost(work, "arm64"), lambda_cost(work, "x86_64"), cloud_run_cost(work), cloud_run_cost(shared)
        cells = (f"{body_ms:,} ms", *(f"{cost:,.2f}" for cost in costs))
        lines.append("  ".join(cell.rjust(len(column)) for cell, column in zip(cells, columns, strict=True)))
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="scripts/cost", description="Prints what a million steps cost on Lambda and on Cloud Run functions."
    )
    parser.add_argument("body_ms", nargs="*", type=_positive, default=[20, 200, 2_000], help="how long a step takes")
    parser.add_argument("--overhead-ms", type=_positive, default=5, help="what a call takes besides (default: 5)")
    parser.add_argument("--steps", type=_positive, default=5, help="steps in a run (default: 5)")
    parser.add_argument("--memory-mb", type=_positive, default=512, help="the function's memory (default: 512)")
    parser.add_argument("--concurrency", type=_positive, default=20, help="calls at once on Cloud Run (default: 20)")
    args = parser.parse_args()
    print(report(args.body_ms, args.overhead_ms, args.steps, args.memory_mb, args.concurrency))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    main()
