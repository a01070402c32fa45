"""Settings: read once from the environment and the handler's options. Who makes them hands the environment over.

Source: docs/protocol.md, section 10.
"""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.protocol.signing import signing_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from inngest_serverless.protocol.signing import SigningKey

__all__ = ["DEFAULT_MAX_BODY_SIZE", "SECRET_ARN", "Settings", "dev_server"]

DEFAULT_MAX_BODY_SIZE = 100 * 1024 * 1024
# The variable that names a secret with the keys; see secret_keys.py.
SECRET_ARN = "INNGEST_SECRET_ARN"

_CLOUD_API = "https://api.inngest.com"
_CLOUD_EVENT_API = "https://inn.gs"
_DEV_SERVER = "http://127.0.0.1:8288"
_OFF = {"", "0", "false", "no", "off"}


class Settings:
    """Everything that can be set about an app.

    Attributes:
        app_id: The app's ID; empty for a client that serves no app.
        app_version: The version to show for it, or None.
        signing_key: The key that requests are verified with, or None.
        signing_key_fallback: The key to try next, while keys are rotated, or None.
        event_key: The key to send events with, or None.
        env: The branch environment, or None.
        is_dev: True when the server is a dev server: requests need no signature.
        api_origin: Where to fetch state and register.
        event_api_origin: Where to send events.
        serve_origin: The public origin to register, or None to take it from the request.
        serve_path: The public path to register, or None to take it from the request.
        url: The whole public URL to register, instead of the two, or None.
        register_url: Where to register, or None for the API's own address.
        max_body_size: The largest request body taken, in bytes.
        allow_in_band_sync: Whether a signed PUT may fetch the registration.
        enable_unauthed_sync: Whether an unsigned PUT may have the app register itself, in cloud mode.
    """

    __slots__ = (
        "allow_in_band_sync",
        "api_origin",
        "app_id",
        "app_version",
        "enable_unauthed_sync",
        "env",
        "event_api_origin",
        "event_key",
        "is_dev",
        "max_body_size",
        "register_url",
        "serve_origin",
        "serve_path",
        "signing_key",
        "signing_key_fallback",
        "url",
    )

    def __init__(self, values: Mapping[str, Any]) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, values[name])

    app_id: str
    app_version: str | None
    signing_key: SigningKey | None
    signing_key_fallback: SigningKey | None
    event_key: str | None
    env: str | None
    is_dev: bool
    api_origin: str
    event_api_origin: str
    serve_origin: str | None
    serve_path: str | None
    url: str | None
    register_url: str | None
    max_body_size: int
    allow_in_band_sync: bool
    enable_unauthed_sync: bool

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Settings are frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Settings are frozen: {name} cannot be deleted")

    @property
    def mode(self) -> str:
        """``"dev"`` or ``"cloud"``."""
        return "dev" if self.is_dev else "cloud"

    @property
    def signing_keys(self) -> tuple[SigningKey, ...]:
        """The keys to verify with, in order."""
        return tuple(key for key in (self.signing_key, self.signing_key_fallback) if key is not None)

    @property
    def has_address(self) -> bool:
        """Whether the public origin is set."""
        return self.url is not None or self.serve_origin is not None

    def public_address(self, origin: str, path: str) -> tuple[str, str]:
        """The origin and the path to register: as set, or else as the platform says."""
        if self.url is not None:
            scheme, _, rest = self.url.partition("://")
            host, slash, tail = rest.partition("/")
            return f"{scheme}://{host}", slash + tail or "/"
        path = self.serve_path or _url_path(path)
        return self.serve_origin or origin, path if path.startswith("/") else f"/{path}"

    @classmethod
    def from_env(cls, environ: Mapping[str, str], **options: Any) -> Settings:
        """Read the settings of an app; an option that is not None wins over the environment.

        Args:
            environ: The environment variables of docs/protocol.md, section 10.
            options: Values for any of the attributes, keys as text.

        Raises:
            ConfigurationError: The app has no ID, an option is unknown, or streaming is asked for.
        """
        settings = cls.for_client(environ, **options)
        if _is_on(environ.get("INNGEST_STREAMING")):
            raise ConfigurationError(
                "INNGEST_STREAMING is set, but this toolkit answers each call with one step and never streams: unset it"
            )
        if not settings.app_id:
            raise ConfigurationError("the app has no ID: pass app_id='...' or set INNGEST_APP_ID")
        return settings

    @classmethod
    def for_client(cls, environ: Mapping[str, str], **options: Any) -> Settings:
        """As ``from_env``, for who sends and serves nothing: it needs no app ID.

        Raises:
            ConfigurationError: An option is unknown.
        """
        unknown = sorted(set(options) - set(cls.__slots__))
        if unknown:
            raise ConfigurationError(f"unknown option {unknown[0]!r}: the options are {', '.join(cls.__slots__)}")
        given = {name: _option(name, value) for name, value in options.items() if value is not None}
        return cls(
            _from_environment(environ, given.get("is_dev"))
            | given
            | _keys(environ, given)
            | {"app_id": _app_id(environ, given)}
        )


def dev_server(environ: Mapping[str, str]) -> str:
    """The origin of the dev server: the one in INNGEST_DEV, or where it listens by default."""
    dev = environ.get("INNGEST_DEV", "").strip()
    return dev.rstrip("/") if "://" in dev else _DEV_SERVER


def _from_environment(environ: Mapping[str, str], wants_dev: bool | None) -> dict[str, Any]:
    is_dev = _is_on(environ.get("INNGEST_DEV")) if wants_dev is None else wants_dev
    api, event_api = (dev_server(environ),) * 2 if is_dev else (_CLOUD_API, _CLOUD_EVENT_API)
    base = environ.get("INNGEST_BASE_URL")
    return {
        "app_version": environ.get("INNGEST_APP_VERSION") or None,
        "event_key": environ.get("INNGEST_EVENT_KEY") or None,
        "env": environ.get("INNGEST_ENV") or None,
        "is_dev": is_dev,
        "api_origin": _origin(environ.get("INNGEST_API_BASE_URL") or base, api),
        "event_api_origin": _origin(environ.get("INNGEST_EVENT_API_BASE_URL") or base, event_api),
        "serve_origin": _origin(environ.get("INNGEST_SERVE_ORIGIN"), "") or None,
        "serve_path": environ.get("INNGEST_SERVE_PATH") or None,
        "url": None,
        "register_url": None,
        "max_body_size": DEFAULT_MAX_BODY_SIZE,
        "allow_in_band_sync": _is_on(environ.get("INNGEST_ALLOW_IN_BAND_SYNC", "1")),
        "enable_unauthed_sync": _is_on(environ.get("INNGEST_ENABLE_UNAUTHED_SYNC", "1")),
    }


def _option(name: str, value: Any) -> Any:
    """An option's value: an origin without a slash at its end, and empty text as nothing at all."""
    if name.endswith("_origin"):
        return value.rstrip("/") or None
    return None if value == "" else value


def _origin(value: str | None, default: str) -> str:
    return value.rstrip("/") if value else default


def _url_path(path: str) -> str:
    """A path that a client asked for, decoded or not, as a part of a URL: what would end the path there is encoded."""
    from urllib.parse import quote

    return quote(path, safe="/%:@!$&'()*+,;=~", errors="replace")


def _keys(environ: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, SigningKey | None]:
    names = {"signing_key": "INNGEST_SIGNING_KEY", "signing_key_fallback": "INNGEST_SIGNING_KEY_FALLBACK"}
    texts = {name: given.get(name, environ.get(variable)) for name, variable in names.items()}
    return {name: signing_key(text) for name, text in texts.items()}


def _app_id(environ: Mapping[str, str], given: Mapping[str, Any]) -> str:
    app_id = (
        given.get("app_id")
        or environ.get("INNGEST_APP_ID")
        or environ.get("AWS_LAMBDA_FUNCTION_NAME")
        or environ.get("K_SERVICE")
    )
    return app_id.strip() if isinstance(app_id, str) else ""


def _is_on(value: str | None) -> bool:
    return (value or "").strip().lower() not in _OFF
