"""Types of events: what handlers are given, what does not fit, what is awaited and what is sent."""

# Without ``from __future__ import annotations``: pydantic reads the annotations of the types below when they are made.

import copy
import json
import pickle
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, Optional, TypedDict, TypeVar
from uuid import UUID

import pydantic
import pytest
import typing_extensions
from engine_server import both
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from surface import SECRET, call, check_failed, declare, event, loaded_modules, module, written_both_ways

from inngest_serverless import (
    AsyncContext,
    ConfigurationError,
    Context,
    Event,
    EventNotReceivedError,
    EventValidationError,
    InngestError,
    NonRetriableError,
    create_function,
    cron_trigger,
    event_trigger,
)
from inngest_serverless.config import Settings
from inngest_serverless.sending import sending

T = TypeVar("T")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Address(BaseModel):
    city: str
    zip: int


class Signup(BaseModel):
    account_id: str
    email: str
    address: Address | None = None
    numbers: list[int] = []
    places: dict[str, Address] = {}
    contact: int | Address | None = None

    @field_validator("email")
    @classmethod
    def _check_email(cls, email):
        if "@" not in email:
            raise ValueError(f"{email} is no address")
        if "?" in email:
            raise PydanticCustomError("odd_address", "{email} is odd", {"email": email})
        assert "!" not in email, email
        return email

    @model_validator(mode="after")
    def _check_both(self):
        if self.account_id == self.email:
            raise ValueError(f"{self.email} twice")
        return self


@dataclass
class Invoice:
    number: UUID
    due: date
    total: Decimal
    lines: list[Address]


class Note(typing_extensions.TypedDict):
    text: str
    at: datetime
    by: typing_extensions.NotRequired[str]


class AccountCreated(Event[Signup], name="api/account.created"):
    """A model."""


class InvoiceSent(Event[Invoice], name="api/invoice.sent"):
    """A dataclass."""


class NoteTaken(Event[Note], name="api/note.taken"):
    """A typed dict."""


SIGNUP = {"account_id": "a1", "email": "ada@example.com"}
INVOICE = {"number": str(UUID(int=7)), "due": "2026-12-24", "total": "12.50", "lines": [{"city": "Ulm", "zip": 8}]}
NOTE = {"text": "hi", "at": "2026-11-22T12:00:00Z"}
TYPES = [
    (AccountCreated, SIGNUP, Signup(account_id="a1", email="ada@example.com")),
    (InvoiceSent, INVOICE, Invoice(UUID(int=7), date(2026, 12, 24), Decimal("12.50"), [Address(city="Ulm", zip=8)])),
    (NoteTaken, NOTE, {"text": "hi", "at": NOON}),
]
each_type = pytest.mark.parametrize(("kind_of_event", "document", "data"), TYPES, ids=["model", "dataclass", "dict"])


class Receiver:
    """A function that notes the contexts it is given."""

    def __init__(self, kind, *triggers, **options):
        self.contexts = []
        self.fn = declare(kind, self.contexts.append, trigger=list(triggers), **options)

    @property
    def context(self):
        assert len(self.contexts) == 1, "the function did not run once"
        return self.contexts[0]

    def given(self, *events):
        answer = call(self.fn, *events)
        assert answer.status == 200, answer
        return self.context

    def refused(self, *events):
        answer = call(self.fn, *events)
        assert not self.contexts, "the function ran"
        return check_failed(answer, "EventValidationError", final=True)


# What handlers are given.


@both
@each_type
def test_data_is_of_the_events_type(kind_of_event, document, data, kind):
    ctx = Receiver(kind, event_trigger(kind_of_event)).given(
        event(kind_of_event.event_name, document, id="e1", user={"external_id": "u"}, v="2")
    )
    assert type(ctx.event) is kind_of_event
    assert type(ctx.event.data) is type(data)
    assert ctx.event.data == data
    assert (ctx.event.id, ctx.event.user, ctx.event.v) == ("e1", {"external_id": "u"}, "2")
    assert ctx.event.ts == 1_700_000_000_000
    assert ctx.events == [ctx.event]


def test_the_first_of_a_batch_is_the_event():
    receiver = Receiver("sync", event_trigger(AccountCreated))
    ctx = receiver.given(*[event("api/account.created", SIGNUP | {"account_id": str(number)}) for number in range(3)])
    assert [item.data.account_id for item in ctx.events] == ["0", "1", "2"]
    assert {type(item.data) for item in ctx.events} == {Signup}
    assert ctx.event is ctx.events[0]


def test_a_batch_of_events_of_several_types():
    receiver = Receiver("sync", event_trigger(AccountCreated), event_trigger(InvoiceSent), event_trigger("api/other"))
    ctx = receiver.given(
        event("api/invoice.sent", INVOICE), event("api/other", {"a": 1}), event("api/account.created", SIGNUP)
    )
    assert [type(item) for item in ctx.events] == [InvoiceSent, Event, AccountCreated]
    assert [type(item.data) for item in ctx.events] == [Invoice, dict, Signup]


@both
@pytest.mark.parametrize(
    ("name", "data", "type_of_event", "type_of_data"),
    [
        ("api/account.created", SIGNUP, AccountCreated, Signup),
        ("api/invoice.sent", INVOICE, InvoiceSent, Invoice),
        ("api/plain", SIGNUP, Event, dict),
        ("inngest/scheduled.timer", {"cron": "0 12 * * *"}, Event, dict),
    ],
)
def test_the_name_picks_the_type(name, data, type_of_event, type_of_data, kind):
    triggers = [
        event_trigger(AccountCreated),
        event_trigger(InvoiceSent, "event.data.total > 5"),
        event_trigger("api/plain"),
        cron_trigger("0 12 * * *"),
    ]
    ctx = Receiver(kind, *triggers).given(event(name, data))
    assert type(ctx.event) is type_of_event
    assert type(ctx.event.data) is type_of_data


def test_untyped_events_stay_dicts():
    ctx = Receiver("sync", event_trigger("api/account.created")).given(event("api/account.created", SIGNUP))
    assert type(ctx.event) is Event
    assert ctx.event.data == SIGNUP


@pytest.mark.parametrize("data", [None, {}])
def test_an_event_without_data(data):
    assert Receiver("sync", event_trigger("x")).given(event("x", data)).event.data == {}


def test_untyped_events_load_no_pydantic():
    program = """
from inngest_serverless import Event, create_function, event_trigger, inngest_lambda
@create_function(id="fn", trigger=event_trigger("x"))
def fn(ctx):
    assert ctx.event.data["a"] == 1
    ctx.step.wait_for_event("w", event="y", timeout="1d")
handler = inngest_lambda([fn], app_id="app", is_dev=True)
request = {"version": "2.0", "rawPath": "/", "rawQueryString": "fnId=app-fn&stepId=step", "headers": {},
    "requestContext": {"http": {"method": "POST"}, "domainName": "x", "stage": "$default"},
    "body": '{"ctx":{"run_id":"R"},"event":{"name":"x","data":{"a":1}},"steps":{}}'}
reply = handler(request, None)
assert reply["statusCode"] == 206 and "WaitForEvent" in reply["body"], reply
event = Event("x", {"a": 1})
event.validate()
assert event.to_dict() == {"name": "x", "data": {"a": 1}}
"""
    loaded = loaded_modules(program)
    assert not {"pydantic", "pydantic_core", "typing_extensions", "dataclasses", "typing"} & loaded


@both
def test_an_invoked_function_gets_its_events_type(kind):
    """``step.invoke`` runs it with an event of another name; what its handler is annotated with still holds."""
    data = SIGNUP | {"_inngest": {"correlation_id": "01C", "fn_id": "app-fn"}}
    ctx = Receiver(kind, event_trigger(AccountCreated)).given(event("inngest/function.invoked", data))
    assert ctx.event.data == Signup(account_id="a1", email="ada@example.com")
    assert ctx.event.name == "inngest/function.invoked"


def test_an_invoked_function_without_a_type_gets_all_the_data():
    data = SIGNUP | {"_inngest": {"correlation_id": "01C"}}
    ctx = Receiver("sync", event_trigger("api/plain")).given(event("inngest/function.invoked", data))
    assert ctx.event.data == data


# What does not fit.

MISFITS = {
    "missing": ({"account_id": "a"}, ["email"]),
    "several": ({}, ["account_id", "email"]),
    "wrong-type": (SIGNUP | {"account_id": {"s": SECRET}}, ["account_id"]),
    "raised-with-the-value": (SIGNUP | {"email": SECRET}, ["email"]),
    "asserted-with-the-value": (SIGNUP | {"email": f"!@{SECRET}"}, ["email"]),
    "custom-error-with-the-value": (SIGNUP | {"email": f"?@{SECRET}"}, ["email"]),
    "whole-model": ({"account_id": f"@{SECRET}", "email": f"@{SECRET}"}, ["(all of it)"]),
    "nested": (SIGNUP | {"address": {"city": "Ulm", "zip": SECRET}}, ["address.zip"]),
    "nested-missing": (SIGNUP | {"address": {"zip": 1}}, ["address.city"]),
    "not-an-object": (SIGNUP | {"address": SECRET}, ["address"]),
    "list": (SIGNUP | {"numbers": [1, SECRET, 2, SECRET]}, ["numbers.1", "numbers.3"]),
    "not-a-list": (SIGNUP | {"numbers": SECRET}, ["numbers"]),
    "mapping": (SIGNUP | {"places": {"home": {"city": "Ulm", "zip": SECRET}}}, ["places", "zip"]),
    "union": (SIGNUP | {"contact": SECRET}, ["contact.int", "contact.Address"]),
    "union-of-models": (SIGNUP | {"contact": {"city": SECRET}}, ["contact.int", "contact.Address.zip"]),
}


@both
@pytest.mark.parametrize("case", MISFITS)
def test_misfits(case, kind):
    data, paths = MISFITS[case]
    message = Receiver(kind, event_trigger(AccountCreated)).refused(event("api/account.created", data))
    assert "'api/account.created'" in message
    assert [path for path in paths if path not in message] == []


@both
def test_no_data_at_all(kind):
    message = Receiver(kind, event_trigger(AccountCreated)).refused(event("api/account.created", None))
    assert "account_id" in message


@both
def test_one_misfit_in_a_batch(kind):
    events = [event("api/account.created", data) for data in (SIGNUP, SIGNUP, {"email": SECRET})]
    assert "account_id" in Receiver(kind, event_trigger(AccountCreated)).refused(*events)


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        ({"number": SECRET, "due": SECRET, "total": SECRET, "lines": SECRET}, ["number", "due", "total", "lines"]),
        (INVOICE | {"lines": [{"city": "Ulm", "zip": SECRET}]}, ["lines.0.zip"]),
    ],
)
def test_a_dataclass_that_does_not_fit(data, paths):
    message = Receiver("sync", event_trigger(InvoiceSent)).refused(event("api/invoice.sent", data))
    assert [path for path in paths if path not in message] == []


def test_a_typed_dict_that_does_not_fit():
    message = Receiver("sync", event_trigger(NoteTaken)).refused(event("api/note.taken", {"at": SECRET, "text": "x"}))
    assert "at" in message


class Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")
    amounts: dict[str, int] = {}


class Counted(Event[Exact], name="api/counted"):
    """Of mappings whose keys the sender chooses."""


@pytest.mark.parametrize("data", [{"amounts": {f"{SECRET}@example.com": "x"}}, {f"{SECRET}@example.com": 1}])
def test_keys_that_the_sender_chose_are_not_told(data):
    Receiver("sync", event_trigger(Counted)).refused(event("api/counted", data))


class Shape(BaseModel):
    kind: Literal["circle", "square"]


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: float


class Drawn(Event[Annotated[Circle | Square, Field(discriminator="kind")]], name="api/drawn"):
    """A tagged union."""


class Either(Event[Circle | Square], name="api/either"):
    """A plain union."""


class Maybe(Event[Optional[Circle]], name="api/maybe"):  # noqa: UP045 - the older spelling is a type of its own
    """An optional."""


@pytest.mark.parametrize("kind_of_event", [Drawn, Either])
def test_data_of_several_types(kind_of_event):
    for data, made in [
        ({"kind": "circle", "radius": 1.0}, Circle(kind="circle", radius=1)),
        ({"kind": "square", "side": 2}, Square(kind="square", side=2)),
    ]:
        ctx = Receiver("sync", event_trigger(kind_of_event)).given(event(kind_of_event.event_name, data))
        assert ctx.event.data == made


@pytest.mark.parametrize("kind_of_event", [Drawn, Either, Maybe])
@pytest.mark.parametrize("data", [{"kind": SECRET}, {"kind": "circle", "radius": SECRET}, {}])
def test_data_of_none_of_the_types(data, kind_of_event):
    Receiver("sync", event_trigger(kind_of_event)).refused(event(kind_of_event.event_name, data))


def test_a_root_model():
    class Prices(RootModel[dict[str, Decimal]]):
        pass

    class Priced(Event[Prices], name="api/priced"):
        pass

    ctx = Receiver("sync", event_trigger(Priced)).given(event("api/priced", {"tea": "2.50"}))
    assert ctx.event.data.root == {"tea": Decimal("2.50")}
    assert ctx.event.to_dict()["data"] == {"tea": "2.50"}


def failing_with(error):
    class Fragile(BaseModel):
        text: str

        @field_validator("text")
        @classmethod
        def _fail(cls, text):
            raise error(text)

    class Broken(Event[Fragile], name="api/broken"):
        pass

    return Broken


@both
@pytest.mark.parametrize("error", [KeyError, TypeError, RuntimeError, ZeroDivisionError, RecursionError])
def test_a_validator_that_fails_tells_no_values(error, kind):
    """A validator may raise more than it should: still a reply, still a misfit, still no values."""
    broken = failing_with(error)
    message = Receiver(kind, event_trigger(broken)).refused(event("api/broken", {"text": SECRET}))
    assert "api/broken" in message


@both
def test_a_type_that_pydantic_cannot_read(kind):
    class Opaque:
        """Nothing that pydantic knows."""

    class Odd(Event[Opaque], name="api/odd"):
        pass

    answer = call(declare(kind, lambda ctx: 1, trigger=event_trigger(Odd)), event("api/odd", {"a": SECRET}))
    assert answer.status in {400, 500}
    assert SECRET not in answer.body


class Plain(TypedDict):
    text: str
    at: datetime


@both
def test_a_typed_dict_of_the_standard_library(kind):
    """On Python 3.11 pydantic does not take ``typing.TypedDict``; users should not have to know."""

    class Written(Event[Plain], name="api/written"):
        pass

    ctx = Receiver(kind, event_trigger(Written)).given(event("api/written", NOTE))
    assert ctx.event.data == {"text": "hi", "at": NOON}


# What is awaited.


def waiting(**options):
    return lambda ctx: ctx.step.wait_for_event("w", timeout="1d", **options)


def awaited(kind, memo, **options):
    """What ``wait_for_event`` gives for a memo, and the answer of the call."""
    values = []

    def script(ctx):
        found = waiting(**options)(ctx)
        return note(found) if hasattr(found, "__await__") else values.append(found)

    async def note(found):
        values.append(await found)

    return values, call(declare(kind, script), memos={"w": memo})


@both
@each_type
def test_an_awaited_event_is_of_its_type(kind_of_event, document, data, kind):
    for required in (False, True):
        [found], _ = awaited(
            kind, event(kind_of_event.event_name, document, id="e2"), event=kind_of_event, required=required
        )
        assert type(found) is kind_of_event
        assert found.data == data
        assert found.id == "e2"


@both
def test_the_wait_names_the_types_event(kind):
    answer = call(declare(kind, waiting(event=AccountCreated, match="data.account_id")))
    assert answer.op["op"] == "WaitForEvent"
    assert answer.op["opts"] == {
        "event": "api/account.created",
        "timeout": "1d",
        "if": "event.data.account_id == async.data.account_id",
    }


@both
@pytest.mark.parametrize("awaited_event", ["api/account.created", AccountCreated])
def test_no_event_came(awaited_event, kind):
    values, answer = awaited(kind, None, event=awaited_event)
    assert values == [None]
    assert answer.status == 200


@both
@pytest.mark.parametrize("awaited_event", ["api/account.created", AccountCreated])
def test_a_required_event_did_not_come(awaited_event, kind):
    values, answer = awaited(kind, None, event=awaited_event, required=True)
    assert values == []
    message = check_failed(answer, "EventNotReceivedError", final=True)
    assert "'w'" in message
    assert "'api/account.created'" in message


def test_a_required_event_that_did_not_come_can_be_caught():
    def handler(ctx):
        try:
            ctx.step.wait_for_event("w", event=AccountCreated, timeout="1d", required=True)
        except EventNotReceivedError as error:
            return f"caught {type(error).__name__}"

    assert call(declare("sync", handler), memos={"w": None}).json == "caught EventNotReceivedError"


@both
def test_an_awaited_event_that_does_not_fit(kind):
    values, answer = awaited(kind, event("api/account.created", {"email": SECRET}), event=AccountCreated)
    assert values == []
    message = check_failed(answer, "EventValidationError", final=True)
    assert "account_id" in message
    assert "email" in message


@both
def test_an_untyped_awaited_event_is_a_dict(kind):
    [found], _ = awaited(kind, event("api/account.created", SIGNUP), event="api/account.created", required=True)
    assert type(found) is Event
    assert found.data == SIGNUP


@both
@pytest.mark.parametrize("wrong", ["", Event, Signup, 5, None])
def test_a_wait_for_no_event(wrong, kind):
    check_failed(call(declare(kind, waiting(event=wrong))), "ConfigurationError", final=True)


@both
def test_a_match_is_a_path_within_the_events(kind):
    check_failed(call(declare(kind, waiting(event="x", match=""))), "ConfigurationError", final=True)
    for wrong, right in [("event.data.id", "data.id"), ("order_id", "data.order_id"), ("items[0]", "data.items[0]")]:
        answer = call(declare(kind, waiting(event="x", match=wrong)))
        check_failed(answer, "ConfigurationError", final=True)
        assert f"{right!r}, not {wrong!r}" in answer.json["message"]


@both
@pytest.mark.parametrize("match", ["data.id", "data['an id']", "user.id", "id", "ts"])
def test_what_events_have_can_be_matched(match, kind):
    answer = call(declare(kind, waiting(event="x", match=match)))
    assert answer.op["opts"]["if"] == f"event.{match} == async.{match}"


# What is sent.


class Currency(Enum):
    EURO = "EUR"


class Order(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    order_id: UUID = Field(alias="orderId")
    placed: datetime
    total: Decimal
    currency: Currency
    wait: timedelta


class OrderPlaced(Event[Order], name="shop/order.placed"):
    """A model with aliases."""


ORDER = Order(
    order_id=UUID(int=1), placed=NOON, total=Decimal("1.10"), currency=Currency.EURO, wait=timedelta(minutes=5)
)
ORDER_JSON = {
    "orderId": str(UUID(int=1)),
    "placed": "2026-11-22T12:00:00Z",
    "total": "1.10",
    "currency": "EUR",
    "wait": "PT5M",
}


def sent(*events):
    """The events' JSON as it leaves for the event API."""
    settings = Settings.from_env({}, app_id="app", is_dev=True)
    request = next(sending(settings, list(events), 1_700_000_000.0))
    return json.loads(request.body)


def test_a_typed_event_is_sent_as_json():
    [document] = sent(OrderPlaced(data=ORDER, id="o1", user={"email": "a@b.c"}, v="1"))
    assert document == {
        "name": "shop/order.placed",
        "data": ORDER_JSON,
        "id": "o1",
        "user": {"email": "a@b.c"},
        "v": "1",
        "ts": 1_700_000_000_000,
    }


def test_to_dict_is_json():
    assert OrderPlaced(data=ORDER).to_dict() == {"name": "shop/order.placed", "data": ORDER_JSON}
    for kind_of_event, document, data in TYPES:
        made = kind_of_event(data=data).to_dict()
        assert json.loads(json.dumps(made["data"]))
        assert kind_of_event.from_dict(made) == kind_of_event.from_dict({"name": made["name"], "data": document})


@each_type
def test_what_is_sent_can_be_received(kind_of_event, document, data):
    [made] = sent(kind_of_event(data=data, ts=5))
    assert kind_of_event.from_dict(made) == kind_of_event(data=data, ts=5)
    assert made["data"].keys() == document.keys() | (Signup.model_fields if data.__class__ is Signup else set())


@pydantic.dataclasses.dataclass
class Aliased:
    created: datetime = Field(alias="createdAt")


class Derived(BaseModel):
    model_config = ConfigDict(extra="forbid")
    side: int

    @computed_field
    @property
    def area(self) -> int:
        return self.side**2


class Renamed(BaseModel):
    side: int = Field(serialization_alias="sideLength")


@dataclass
class Standard:
    at: datetime
    wait: timedelta
    names: set[str]
    content: bytes


@pytest.mark.parametrize(
    "data",
    [
        Aliased(createdAt=NOON),
        Derived(side=3),
        Renamed(side=3),
        Standard(NOON, timedelta(hours=1), {"a"}, b"text"),
    ],
    ids=lambda data: type(data).__name__,
)
def test_data_is_sent_in_the_form_that_its_type_reads(data):
    class Sent(Event[type(data)], name="api/sent"):
        pass

    made = Sent(data=data)
    made.validate()
    [document] = sent(made)
    assert Sent.from_dict(document).data == data


def test_several_forms_of_one_event():
    typed = OrderPlaced(data=ORDER)
    assert sent(typed, typed.to_event(), typed.to_dict()) == sent(typed) * 3


def test_an_untyped_event_may_hold_values_beyond_json():
    data = {"at": NOON, "orders": [ORDER], "total": Decimal("1.5"), "address": {"a": Address(city="Ulm", zip=1)}}
    [document] = sent(Event("x", data))
    assert document["data"]["orders"] == [ORDER_JSON]
    assert document["data"]["at"] == "2026-11-22T12:00:00+00:00"
    assert document["data"]["address"] == {"a": {"city": "Ulm", "zip": 1}}


def test_a_sent_step_takes_typed_events():
    """``step.send_event`` on replay: the IDs, whatever was sent."""
    replay = []
    fn = declare("sync", lambda ctx: replay.append(ctx.step.send_event("s", OrderPlaced(data=ORDER))))
    assert call(fn, memos={"s": {"data": ["01A"]}}).status == 200
    assert replay == [["01A"]]


# What can be sent at all.

VALID = [
    Event("x"),
    Event("x", {}),
    Event("x", {"a": None}, user={}, id="i", ts=1, v="1"),
    AccountCreated(data=Signup(account_id="a", email="@")),
    AccountCreated(data=SIGNUP),
    NoteTaken(data={"text": "", "at": NOON}),
    OrderPlaced(data=ORDER),
]


@pytest.mark.parametrize("valid", VALID, ids=range(len(VALID)))
def test_valid_events(valid):
    valid.validate()
    assert len(sent(valid)) == 1


INVALID = {
    "no-name": (Event(), "name"),
    "empty-name": (Event(""), "name"),
    "blank-name": (Event("  \t"), "name"),
    "name-of-another-type": (Event(5), "name"),
    "list": (Event("x", [SECRET]), "data"),
    "text": (Event("x", SECRET), "data"),
    "number": (Event("x", 5), "data"),
    "id": (Event("x", id=5), "id"),
    "ts-text": (Event("x", ts="2026"), "ts"),
    "ts-float": (Event("x", ts=1.5), "ts"),
    "ts-zero": (Event("x", ts=0), "ts"),
    "ts-negative": (Event("x", ts=-1), "ts"),
    "ts-bool": (Event("x", ts=True), "ts"),
    "v": (Event("x", v=1), "v"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_events(case):
    invalid, field = INVALID[case]
    for check in (invalid.validate, lambda: sent(invalid), lambda: sent(Event("ok"), invalid)):
        with pytest.raises(EventValidationError) as caught:
            check()
        assert field in str(caught.value)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "data", [None, {}, {"account_id": SECRET}, SIGNUP | {"email": SECRET}, Address(city=SECRET, zip=1)]
)
def test_typed_data_is_validated(data):
    """By itself, and before it is sent: who receives it would refuse it for good."""
    invalid = AccountCreated(data=data)
    for check in (invalid.validate, lambda: sent(invalid)):
        with pytest.raises(EventValidationError) as caught:
            check()
        assert "email" in str(caught.value)
        assert SECRET not in str(caught.value)


def test_data_that_json_cannot_hold_is_found_out():
    for value in (object(), float("nan"), {1, 2}):
        with pytest.raises(EventValidationError):
            sent(Event("x", {"a": value}))


def test_a_misfit_is_not_retried():
    assert issubclass(EventValidationError, NonRetriableError)
    assert issubclass(EventNotReceivedError, NonRetriableError)
    assert issubclass(NonRetriableError, InngestError)


# Declarations.


def test_a_type_needs_a_name():
    with pytest.raises(ConfigurationError, match=r"Nameless.*name="):

        class Nameless(Event[Signup]):
            pass


def test_a_type_of_a_type():
    class Special(AccountCreated, name="api/account.special"):
        @property
        def domain(self):
            return self.data.email.partition("@")[2]

    class Alike(AccountCreated):
        pass

    assert (Special.event_name, AccountCreated.event_name) == ("api/account.special", "api/account.created")
    assert Alike.event_name == "api/account.created"
    ctx = Receiver("sync", event_trigger(Special), event_trigger(AccountCreated)).given(
        event("api/account.special", SIGNUP)
    )
    assert type(ctx.event) is Special
    assert ctx.event.domain == "example.com"


def test_a_type_with_data_of_a_type_of_its_parameter():
    class Envelope(BaseModel, Generic[T]):
        item: T

    class Posted(Event[Envelope[Address]], name="api/posted"):
        pass

    ctx = Receiver("sync", event_trigger(Posted)).given(event("api/posted", {"item": {"city": "Ulm", "zip": 1}}))
    assert ctx.event.data.item == Address(city="Ulm", zip=1)


def test_a_generic_type_of_event():
    class Changed(Event[T], Generic[T], name="api/changed"):
        pass

    class AddressChanged(Changed[Address], name="api/address.changed"):
        pass

    ctx = Receiver("sync", event_trigger(AddressChanged)).given(event("api/address.changed", {"city": "U", "zip": 1}))
    assert ctx.event.data == Address(city="U", zip=1)


def test_a_type_of_plain_dicts():
    class Loose(Event[dict[str, Any]], name="api/loose"):
        pass

    ctx = Receiver("sync", event_trigger(Loose)).given(event("api/loose", {"a": 1}))
    assert type(ctx.event) is Loose
    assert ctx.event.data == {"a": 1}


def test_a_type_named_by_text_is_not_ignored():
    """``Event["Signup"]``: either the name is looked up, or the declaration says that it cannot be."""
    try:

        class Quoted(Event["Signup"], name="api/quoted"):
            pass

    except ConfigurationError:
        return
    Receiver("sync", event_trigger(Quoted)).refused(event("api/quoted", {"email": SECRET}))


@pytest.mark.parametrize("wrong", [Event, Event[Signup], Signup, "", "  ", None, 5])
def test_triggers_of_no_event(wrong):
    with pytest.raises(ConfigurationError, match="event_trigger needs the name"):
        event_trigger(wrong)


def test_two_types_of_one_name():
    class Other(Event[Address], name="api/account.created"):
        pass

    with pytest.raises(ConfigurationError, match=r"api/account\.created"):
        create_function(id="fn", trigger=[event_trigger(AccountCreated), event_trigger(Other)])(print)


def test_one_type_twice():
    triggers = [event_trigger(AccountCreated, "event.data.email != ''"), event_trigger(AccountCreated)]
    ctx = Receiver("sync", *triggers).given(event("api/account.created", SIGNUP))
    assert type(ctx.event) is AccountCreated


def test_a_type_for_all_events_of_a_kind():
    """A trigger may end in ``*``: its type is for every event that comes by it, or it is refused as a type."""
    try:

        class AnyAccount(Event[Signup], name="api/account.*"):
            pass

        receiver = Receiver("sync", event_trigger(AnyAccount))
    except ConfigurationError:
        return
    ctx = receiver.given(event("api/account.created", SIGNUP))
    assert ctx.event.data == Signup(**SIGNUP)
    assert ctx.event.name == "api/account.created"


def test_a_trigger_by_type_registers_its_name():
    assert event_trigger(AccountCreated, "true").to_json() == {"event": "api/account.created", "expression": "true"}


# The value itself.


def test_round_trips():
    document = event("shop/order.placed", ORDER_JSON, id="i", user={"a": 1}, v="1")
    typed = OrderPlaced.from_dict(document)
    assert typed.data == ORDER
    assert typed.to_dict() == document
    plain = typed.to_event()
    assert type(plain) is Event
    assert plain.data == ORDER_JSON
    assert plain.to_dict() == document
    assert OrderPlaced.from_dict(plain.to_dict()) == typed
    assert Event.from_dict(document) == plain


def test_to_dict_leaves_out_what_is_not_set():
    assert Event("x").to_dict() == {"name": "x", "data": {}}
    assert Event("x", user={}, id=None).to_dict() == {"name": "x", "data": {}}
    assert Event.from_dict({"name": "x", "data": None, "user": None}).to_dict() == {"name": "x", "data": {}}


def test_from_dict_checks_the_data():
    with pytest.raises(EventValidationError) as caught:
        AccountCreated.from_dict(event("api/account.created", {"email": SECRET}))
    assert "account_id" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "a traceback would show the values"


def test_equality():
    assert Event("x", {"a": 1}) == Event("x", {"a": 1})
    assert OrderPlaced(data=ORDER) == OrderPlaced(data=ORDER.model_copy())
    different = [Event("y", {"a": 1}), Event("x", {"a": 2}), Event("x", {"a": 1}, id="i"), Event("x", {"a": 1}, ts=1)]
    assert all(Event("x", {"a": 1}) != other for other in different)
    assert Event("x") != {"name": "x", "data": {}}
    with pytest.raises(TypeError):
        hash(Event("x"))


def test_defaults_are_not_shared():
    first, second = Event("x"), Event("x")
    first.data["a"] = first.user["b"] = 1
    assert second.data == {}
    assert second.user == {}


def test_repr_tells_no_data():
    assert SECRET not in repr(AccountCreated(data=SIGNUP | {"email": SECRET}, user={"email": SECRET}))
    assert repr(AccountCreated(data=SIGNUP, id="i")) == "AccountCreated(name='api/account.created', id='i')"


def test_copies():
    typed = AccountCreated(data=Signup(**SIGNUP), id="i")
    for other in (copy.copy(typed), copy.deepcopy(typed), pickle.loads(pickle.dumps(typed))):  # noqa: S301 - our own
        assert type(other) is AccountCreated
        assert other == typed


def test_a_typed_event_under_another_name():
    assert AccountCreated("api/other", Signup(**SIGNUP)).to_dict()["name"] == "api/other"


# Annotations, which are evaluated or text.

ANNOTATED = """
from pydantic import BaseModel
from inngest_serverless import AsyncContext, Context, Event, create_function, event_trigger

class Data(BaseModel):
    count: int

class Counted(Event[Data], name="api/counted"):
    pass

seen = []

@create_function(id="fn", trigger=event_trigger(Counted))
def fn(ctx: Context[Counted]) -> int:
    seen.append(ctx.event)
    return ctx.event.data.count

@create_function(id="fn", trigger=event_trigger(Counted))
async def async_fn(ctx: AsyncContext[Counted]) -> int:
    seen.append(ctx.event)
    return ctx.event.data.count

@create_function(id="fn", trigger=event_trigger("api/counted"))
def untyped(ctx: Context) -> int:
    return ctx.event.data["count"]
"""


@written_both_ways
@pytest.mark.parametrize("name", ["fn", "async_fn", "untyped"])
def test_annotated_handlers(name, future):
    sample = module(ANNOTATED, future=future)
    assert call(getattr(sample, name), event("api/counted", {"count": "3" if name != "untyped" else 3})).json == 3
    assert [type(found) for found in sample.seen] == ([] if name == "untyped" else [sample.Counted])


def test_contexts_can_be_subscribed():
    for generic in (Context, AsyncContext):
        assert generic[AccountCreated].__args__ == (AccountCreated,)
        assert generic[AccountCreated | InvoiceSent].__origin__ is generic
    assert Event[Signup]("x", Signup(**SIGNUP)).data.email == "ada@example.com"
