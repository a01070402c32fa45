"""Language models for ``step.ai.infer``: where to send a request, and in which form.

The key goes to Inngest with the step, which sends it on to the provider; it is never logged and is in no repr.

Source: docs/protocol.md, section 4.
"""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Anthropic", "Gemini", "Model", "OpenAI", "OpenAIResponses"]


class Model:
    """A model of a provider. Use one of its subclasses.

    Args:
        model: The model's name, as the provider gives it.
        api_key: The provider's key.
        base_url: Where the provider is, if not at its public address.
        headers: More headers to send.

    Raises:
        ConfigurationError: The name or the key is empty, the URL is not absolute, or something is no text.
    """

    __slots__ = ("_api_key", "_base_url", "_headers", "model")

    _format = ""
    _default_url = ""
    _path = ""
    _own_headers: Mapping[str, str] = {}

    def __init__(
        self, model: str, *, api_key: str, base_url: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        kind = type(self).__name__
        if not all(isinstance(text, str) and text.strip() for text in (model, api_key)):
            raise ConfigurationError(f"{kind} needs a model's name and an api_key: two texts, neither of them empty")
        url = self._default_url if base_url is None else base_url
        if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")):
            raise ConfigurationError(f"{kind} needs an absolute base_url, which begins with http:// or https://")
        if not all(isinstance(part, str) for field in (headers or {}).items() for part in field):
            raise ConfigurationError(f"{kind}: headers must be text, their names as well as their values")
        self.model: str = model
        self._api_key = api_key
        self._base_url = url.rstrip("/")
        # The server adds up headers: none may be there twice.
        given = {name.lower() for name in headers or ()}
        own = {name: value for name, value in self._own_headers.items() if name not in given}
        self._headers = own | dict(headers or {})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    def request(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the server needs to send the request."""
        return {
            "url": self._url(),
            "headers": self._headers,
            "auth_key": self._api_key,
            "format": self._format,
            "body": self._body(body),
        }

    def _url(self) -> str:
        return self._base_url + self._path

    def _body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"model": self.model, **body}


class OpenAI(Model):
    """OpenAI's chat completions, and what speaks their form elsewhere."""

    __slots__ = ()
    _format = "openai-chat"
    _default_url = "https://api.openai.com/v1"
    _path = "/chat/completions"


class OpenAIResponses(Model):
    """OpenAI's responses."""

    __slots__ = ()
    _format = "openai-responses"
    _default_url = "https://api.openai.com/v1"
    _path = "/responses"


class Anthropic(Model):
    """Anthropic's messages; the body needs ``max_tokens``."""

    __slots__ = ()
    _format = "anthropic"
    _default_url = "https://api.anthropic.com/v1"
    _path = "/messages"
    _own_headers: Mapping[str, str] = {"anthropic-version": "2023-06-01"}


class Gemini(Model):
    """Google's Gemini."""

    __slots__ = ()
    _format = "gemini"
    _default_url = "https://generativelanguage.googleapis.com/v1beta"

    def _url(self) -> str:
        return f"{self._base_url}/models/{self.model}:generateContent"

    def _body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        # The model is part of the URL.
        return dict(body)
