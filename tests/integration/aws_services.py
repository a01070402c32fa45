"""AWS's services as moto plays them, over HTTP; what is asked is noted, and may be answered with an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from server_thread import ServerThread
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Iterable

REGION = "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDTESTS", "AWS_SECRET_ACCESS_KEY": "tests"}


class AwsServices(ServerThread):
    """moto's server in a thread.

    Attributes:
        calls: The operations that were asked for, such as ``"GetSecretValue"``; those of JSON services only.
        faults: Error codes by operation, which is not carried out then.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.faults: dict[str, str] = {}
        self._moto = DomainDispatcherApplication(create_backend_app)
        super().__init__(make_server("127.0.0.1", 0, self._application, threaded=True))
        self.origin = self.url

    @property
    def env(self) -> dict[str, str]:
        """The variables by which a function finds it."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.origin, "AWS_DEFAULT_REGION": REGION}

    def client(self, service: str) -> Any:
        """A boto3 client of the test's own."""
        keys = {name.lower(): value for name, value in CREDENTIALS.items()}
        return boto3.client(service, region_name=REGION, endpoint_url=self.origin, **keys)

    def _application(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        self.calls.append(operation)
        code = self.faults.get(operation)
        if code is None:
            return self._moto(environ, start_response)
        start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps({"__type": code, "message": "as the test has it"}).encode()]
