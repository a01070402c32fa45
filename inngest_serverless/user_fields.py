"""Names of the fields of an event's ``user`` by which Inngest knows whom the event concerns."""

from __future__ import annotations

__all__ = ["EMAIL", "EXTERNAL_ID"]

EXTERNAL_ID = "external_id"
"""The user's ID in your system."""

EMAIL = "email"
"""The user's email address."""
