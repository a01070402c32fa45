"""Packages that the local engine needs and that nothing else does."""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError

__all__ = ["PackageMissingError"]


class PackageMissingError(ConfigurationError):
    """Something cannot be read or checked, as the package that does it is not installed; the message names it."""
