"""What observability writes: lines of JSON, metric documents, and segments as X-Ray's daemon receives them."""

from __future__ import annotations

import json
import socket
from numbers import Real

# Amazon CloudWatch API reference, MetricDatum.
UNITS = {
    *("Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"),
    *(f"{size}{kind}" for size in ("", "Kilo", "Mega", "Giga", "Tera") for kind in ("Bytes", "Bits")),
    *(f"{size}{kind}/Second" for size in ("", "Kilo", "Mega", "Giga", "Tera") for kind in ("Bytes", "Bits")),
}


def json_lines(text):
    """The lines of a log that are JSON, decoded; a line that begins like JSON has to be."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def metric_documents(text):
    """The metric documents of a log, each of them valid."""
    documents = [line for line in json_lines(text) if "_aws" in line]
    for document in documents:
        check_emf(document)
    return documents


def check_emf(document):
    """Check a document against the embedded metric format specification (Amazon CloudWatch user guide)."""
    assert len(json.dumps(document).encode()) <= 256 * 1024
    metadata = document["_aws"]
    assert metadata.keys() == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(metadata["Timestamp"], int)
    assert metadata["Timestamp"] > 10**12, "milliseconds"
    for directive in metadata["CloudWatchMetrics"]:
        assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
        assert 1 <= len(directive["Namespace"]) <= 1024
        assert not directive["Namespace"].startswith(":")
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) <= 30
            for name in dimensions:
                assert 1 <= len(name) <= 250
                assert isinstance(document[name], str), f"the target of dimension {name}"
                assert 1 <= len(document[name].strip()) <= 1024
        assert 1 <= len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert {"Name"} <= metric.keys() <= {"Name", "Unit", "StorageResolution"}
            assert 1 <= len(metric["Name"]) <= 1024
            assert metric.get("Unit", "None") in UNITS
            assert metric.get("StorageResolution", 60) in {1, 60}
            values = document[metric["Name"]]
            values = values if isinstance(values, list) else [values]
            assert 1 <= len(values) <= 100
            assert all(isinstance(value, Real) and not isinstance(value, bool) for value in values)


def measured(document):
    """The metrics of a document, by name: the value, which is the only one."""
    [directive] = document["_aws"]["CloudWatchMetrics"]
    values = {metric["Name"]: document[metric["Name"]] for metric in directive["Metrics"]}
    assert all(len(value) == 1 for value in values.values())
    return {name: value for name, [value] in values.items()}


class Daemon:
    """Stands in for X-Ray's daemon: a UDP port that takes segment documents."""

    SECONDS = 10.0
    LAST = b"that is all"

    def __enter__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(self.SECONDS)
        return self

    def __exit__(self, *_):
        self._socket.close()

    @property
    def address(self):
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def received(self):
        """The documents that have been sent to it since the last time."""
        # On this machine nothing overtakes, so the mark is behind all that has been sent.
        self._socket.sendto(self.LAST, self._socket.getsockname())
        documents = []
        while (datagram := self._socket.recv(65536)) != self.LAST:
            header, _, body = datagram.partition(b"\n")
            assert json.loads(header) == {"format": "json", "version": 1}
            documents.append(json.loads(body))
        return documents
