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
        ConfigurationError: The name or the key is empty.
    """

    __slots__ = ("_api_key", "_base_url", "_headers", "model")

    _format = ""
    _default_url = ""
    _path = ""

    def __init__(
        self, model: str, *, api_key: str, base_url: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        if not model or not api_key:
            raise ConfigurationError(
                f"{type(self).__name__} needs a model's name and an api_key, neither of them empty"
            )
        self.model = model
        self._api_key = api_key
        self._base_url = (base_url or self._default_url).rstrip("/")
        self._headers = dict(headers or {})

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

    def __init__(
        self, model: str, *, api_key: str, base_url: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        version = {"anthropic-version": "2023-06-01"}
        super().__init__(model, api_key=api_key, base_url=base_url, headers=version | dict(headers or {}))


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
