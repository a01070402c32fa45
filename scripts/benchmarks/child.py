"""What is measured in a fresh process: python child.py MODE MODULE EVENTS SECONDS; prints JSON.

MODE is ``nothing``, ``import``, ``first`` (import, then one call), ``over`` (import after awslambdaric), ``warm`` (the
median time of a call, for each event, repeated for SECONDS), or ``memory`` (after one call). EVENTS is a JSON file:
cases by name, each an event. Times are milliseconds of CPU time, of a call microseconds.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Do as the arguments say."""
    mode, module, path, seconds = sys.argv[1:5]
    if mode == "nothing":
        return
    import json

    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib would count as a cost of the handler
        events = json.load(file)
    if mode == "over":
        print(json.dumps(_over(module)))
        return
    from importlib import import_module

    loaded = import_module(module)
    if mode == "import":
        return
    if mode == "warm":
        print(json.dumps({name: _warm(loaded.handler, event, float(seconds)) for name, event in events.items()}))
        return
    first = next(iter(events))
    reply = loaded.handler(events[first], None)
    print(json.dumps({first: reply} if mode == "first" else _resident_mb()))


def _over(module: str) -> float:
    import time
    from importlib import import_module

    import awslambdaric.bootstrap  # noqa: F401 - loaded before any handler in a cold start

    began = time.process_time_ns()
    import_module(module)
    return (time.process_time_ns() - began) / 1e6


def _warm(handler: object, event: object, seconds: float) -> dict[str, object]:
    import time
    from statistics import median

    reply = handler(event, None)  # type: ignore[operator]
    times: list[int] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.process_time_ns()
        handler(event, None)  # type: ignore[operator]
        times.append(time.process_time_ns() - began)
    return {"us": median(times) / 1000, "reply": reply}


def _resident_mb() -> float:
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - as above
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


main()
