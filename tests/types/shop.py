"""What the files of this folder declare functions for: types of events, and work for steps."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel
from typing_extensions import TypedDict

from inngest_serverless import Event


class Signup(BaseModel):
    account_id: str
    email: str


@dataclass
class Invoice:
    total: int


class Note(TypedDict):
    text: str


class AccountCreated(Event[Signup], name="api/account.created"):
    """A model."""


class InvoiceSent(Event[Invoice], name="api/invoice.sent"):
    """A dataclass."""


class NoteTaken(Event[Note], name="api/note.taken"):
    """A typed dict."""


class Receipt(BaseModel):
    to: str


def send_email(to: str, subject: str = "", *, urgent: bool = False) -> Receipt:
    return Receipt(to=to)


async def send_email_async(to: str, subject: str = "", *, urgent: bool = False) -> Receipt:
    return Receipt(to=to)


def count(*numbers: int) -> int:
    return len(numbers)


def nothing() -> None:
    return None


def use(*values: object) -> None:
    """Somewhere for values to go."""
