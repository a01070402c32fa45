"""Where ``OffloadMiddleware`` keeps large results: a folder, or a bucket in a cloud.

Source: docs/middleware.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from inngest_serverless.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

__all__ = ["FileStore", "GCSStore", "S3Store", "Store"]


class Store(Protocol):
    """Where large results are kept. It may be called from several threads."""

    def put(self, key: str, data: bytes) -> str:
        """Keep data under a key.

        The same key always comes with the same data.

        Returns:
            The reference to get it by.
        """
        ...

    def get(self, ref: str) -> bytes:
        """The data of a reference.

        Raises:
            LookupError: There is no such object.
        """
        ...


class FileStore:
    """A folder, for development and tests: it is there for one machine only.

    Args:
        directory: The folder; it is made when it is needed.
    """

    def __init__(self, directory: str | PathLike[str]) -> None:
        self._directory = Path(directory).absolute()

    def __repr__(self) -> str:
        return f"FileStore({str(self._directory)!r})"

    def put(self, key: str, data: bytes) -> str:
        """Write a file."""
        path = self._directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whoever reads meanwhile finds nothing or everything.
        from tempfile import NamedTemporaryFile

        with NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        Path(file.name).replace(path)
        return f"file:{key}"

    def get(self, ref: str) -> bytes:
        """Read a file.

        Raises:
            LookupError: There is none, or it is not in the folder.
        """
        path = self._directory / _key_of(ref, "file:")
        try:
            if path.resolve().is_relative_to(self._directory.resolve()):
                return path.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            pass
        raise LookupError(ref)


class S3Store:
    """A bucket in Amazon S3. The function needs ``s3:PutObject`` and ``s3:GetObject`` there.

    Args:
        bucket: The bucket's name.
        prefix: What all keys begin with.
        client: A boto3 client for S3; one with boto3's own settings if not given, made on first use.

    Raises:
        ConfigurationError: There is no boto3.
    """

    def __init__(self, bucket: str, prefix: str = "inngest/", *, client: Any = None) -> None:
        if client is None:
            _require("boto3", "boto3")
        self._bucket, self._prefix, self._client = bucket, prefix, client

    def __repr__(self) -> str:
        return f"S3Store({self._bucket!r}, {self._prefix!r})"

    def put(self, key: str, data: bytes) -> str:
        """Put an object."""
        key = self._prefix + key
        self._connected().put_object(Bucket=self._bucket, Key=key, Body=data, ContentType="application/json")
        return f"s3://{self._bucket}/{key}"

    def get(self, ref: str) -> bytes:
        """Get an object.

        Raises:
            LookupError: There is none, or it is not one of this bucket and prefix.
        """
        key = self._prefix + _key_of(ref, f"s3://{self._bucket}/{self._prefix}")
        try:
            body: bytes = self._connected().get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except Exception as error:
            response = getattr(error, "response", None) or {}
            if response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
                raise LookupError(ref) from None
            raise
        return body

    def _connected(self) -> Any:
        if self._client is None:
            from importlib import import_module

            self._client = import_module("boto3").client("s3")
        return self._client


class GCSStore:
    """A bucket in Google Cloud Storage. The function needs to create and to read objects there.

    Args:
        bucket: The bucket's name.
        prefix: What all names begin with.
        client: A ``google.cloud.storage.Client``; one with its own settings if not given, made on first use.

    Raises:
        ConfigurationError: There is no google-cloud-storage.
    """

    def __init__(self, bucket: str, prefix: str = "inngest/", *, client: Any = None) -> None:
        if client is None:
            _require("google.cloud.storage", "google-cloud-storage")
        self._bucket, self._prefix, self._client = bucket, prefix, client

    def __repr__(self) -> str:
        return f"GCSStore({self._bucket!r}, {self._prefix!r})"

    def put(self, key: str, data: bytes) -> str:
        """Upload an object."""
        key = self._prefix + key
        self._blob(key).upload_from_string(data, content_type="application/json")
        return f"gs://{self._bucket}/{key}"

    def get(self, ref: str) -> bytes:
        """Download an object.

        Raises:
            LookupError: There is none, or it is not one of this bucket and prefix.
        """
        key = self._prefix + _key_of(ref, f"gs://{self._bucket}/{self._prefix}")
        try:
            data: bytes = self._blob(key).download_as_bytes()
        except Exception as error:
            if getattr(error, "code", None) == 404:  # noqa: PLR2004 - HTTP's number
                raise LookupError(ref) from None
            raise
        return data

    def _blob(self, key: str) -> Any:
        if self._client is None:
            from importlib import import_module

            self._client = import_module("google.cloud.storage").Client()
        return self._client.bucket(self._bucket).blob(key)


def _key_of(ref: str, prefix: str) -> str:
    if not ref.startswith(prefix):
        raise LookupError(ref)
    return ref.removeprefix(prefix)


def _require(module: str, package: str) -> None:
    from importlib.util import find_spec

    try:
        found = find_spec(module)
    except ImportError:
        found = None
    if found is None:
        raise ConfigurationError(f"this store needs the package {package}: pip install {package}")
