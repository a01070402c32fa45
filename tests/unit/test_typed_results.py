"""Results that are more than plain JSON: where their type is found, how they are kept, and how they come back."""

# Without ``from __future__ import annotations``: what is annotated here is to be there at run time.

import functools
import gc
import json
import weakref
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import SimpleNamespace
from typing import Any, Generic, NamedTuple, Optional, TypedDict, TypeVar
from unittest.mock import MagicMock, Mock
from uuid import UUID, uuid4

import pydantic
import pytest
import typing_extensions
from engine_server import Server, both, time_limit
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Json,
    SecretStr,
    computed_field,
    field_serializer,
    model_serializer,
)
from surface import (
    SECRET,
    Replayed,
    call,
    check_failed,
    declare,
    event,
    loaded_modules,
    module,
    written_both_ways,
)

from inngest_serverless import create_function, event_trigger

T = TypeVar("T")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

# The types that results have here, in a module of their own, so that each annotation can be written both ways.
TYPES = """
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import PurePosixPath
from typing import (
    Annotated, Any, Dict, Generic, List, Literal, NamedTuple, NewType, Optional, Tuple, TypedDict, TypeVar, Union
)
from uuid import UUID
import typing_extensions
from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

class Color(Enum):
    RED = "red"
    BLUE = 2

class Size(IntEnum):
    BIG = 3

class Mood(StrEnum):
    GOOD = "good"

class Item(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    item_id: UUID = Field(alias="itemId")
    price: Decimal
    sizes: list[Size] = []

@dataclass
class Point:
    x: int
    at: datetime | None = None
    inner: "Point | None" = None

@dataclass(frozen=True)
class Frozen:
    color: Color

class Row(typing_extensions.TypedDict):
    at: datetime
    items: list[Item]
    note: typing_extensions.NotRequired[str]

class StandardRow(TypedDict):
    at: datetime

class Pair(NamedTuple):
    number: int
    day: date

class Page(BaseModel, Generic[T]):
    entries: list[T]
    next: int | None = None

class Cat(BaseModel):
    kind: Literal["cat"]

class Dog(BaseModel):
    kind: Literal["dog"]

UserId = NewType("UserId", UUID)
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ID = UUID(int=7)
ITEM = Item(item_id=ID, price=Decimal("1.50"), sizes=[Size.BIG])
"""
RESULTS = {
    "Item": "ITEM",
    "Point": "Point(1, NOON, Point(2))",
    "Frozen": "Frozen(Color.BLUE)",
    "Row": "{'at': NOON, 'items': [ITEM]}",
    "StandardRow": "{'at': NOON}",
    "Pair": "Pair(1, date(2026, 1, 2))",
    "datetime": "NOON",
    "date": "date(2026, 1, 2)",
    "time": "time(12, 30, 1, 5)",
    "timedelta": "timedelta(days=1, microseconds=5)",
    "UUID": "ID",
    "UserId": "ID",
    "Decimal": "Decimal('0.10')",
    "Color": "Color.BLUE",
    "Size": "Size.BIG",
    "Mood": "Mood.GOOD",
    "PurePosixPath": "PurePosixPath('/tmp/a')",
    "bytes": "'é'.encode()",
    "set[int]": "{1, 2}",
    "frozenset[Color]": "frozenset({Color.RED})",
    "tuple[int, datetime]": "(1, NOON)",
    "tuple[Item, ...]": "(ITEM, ITEM)",
    "tuple": "(1, 'a')",
    "Tuple[int, UUID]": "(1, ID)",
    "list[Item]": "[ITEM]",
    "List[datetime]": "[NOON]",
    "list[list[UUID]]": "[[ID], []]",
    "list[Row]": "[{'at': NOON, 'items': []}]",
    "Sequence[Item]": "[ITEM]",
    "Mapping[str, Decimal]": "{'a': Decimal('1')}",
    "Iterable[Item]": "[ITEM]",
    "Collection[UUID]": "[ID]",
    "dict[str, Item]": "{'a': ITEM}",
    "Dict[str, date]": "{'a': date(2026, 1, 2)}",
    "dict[UUID, Item]": "{ID: ITEM}",
    "dict[int, str]": "{1: 'a'}",
    "Dict[int, float]": "{1: 1.5}",
    "dict[Color, int]": "{Color.RED: 1}",
    "Optional[Item]": "ITEM",
    "Item | None": "None",
    "Union[Item, UUID]": "ID",
    "Item | list[Item]": "[ITEM]",
    "Cat | Dog": "Dog(kind='dog')",
    "Annotated[Cat | Dog, Field(discriminator='kind')]": "Cat(kind='cat')",
    "Annotated[datetime, 'when']": "NOON",
    "Literal['a', 1]": "1",
    "Page[Item]": "Page[Item](entries=[ITEM], next=2)",
    "Page[datetime] | None": "Page[datetime](entries=[NOON])",
    "dict[str, Page[Item]]": "{'a': Page[Item](entries=[])}",
}
each_result = pytest.mark.parametrize("annotation", RESULTS)


def sample(annotation, *, future=False, result=None):
    """A module of the types and of functions that are annotated to return this."""
    value = result or RESULTS[annotation]
    source = f"""{TYPES}
def sync_step() -> {annotation}:
    return {value}

async def async_step() -> {annotation}:
    return {value}

class Worker:
    def method(self) -> {annotation}:
        return {value}

    @classmethod
    def of_class(cls) -> {annotation}:
        return {value}

    @staticmethod
    def static() -> {annotation}:
        return {value}

    def __call__(self) -> {annotation}:
        return {value}

EXPECTED = {value}
"""
    return module(source, future=future)


def replayed(kind, function, *args, **options):
    """The step's result as a second call is given it."""
    return Replayed(kind, lambda ctx: ctx.step.run("a", function, *args, **options))


def check_equal(value, expected):
    assert value == expected
    assert type(value) is type(expected)


# From the return annotation.


@written_both_ways
@each_result
def test_a_result_comes_back_as_its_type(annotation, future):
    made = sample(annotation, future=future)
    check_equal(replayed("sync", made.sync_step).value, made.EXPECTED)


@written_both_ways
@each_result
def test_in_async_functions(annotation, future):
    made = sample(annotation, future=future)
    check_equal(replayed("async", made.async_step).value, made.EXPECTED)
    check_equal(replayed("async", made.sync_step).value, made.EXPECTED)


@each_result
def test_by_output_type(annotation):
    made = sample(annotation)
    output_type = eval(annotation, vars(made))  # noqa: S307 - our own text
    step = replayed("sync", lambda: made.EXPECTED, output_type=output_type)
    check_equal(step.value, made.EXPECTED)
    assert json.loads(json.dumps(step.ran.op["data"])) == replayed("sync", made.sync_step).ran.op["data"]


@both
def test_output_type_counts_more_than_the_annotation(kind):
    def step() -> str:
        return "2026-11-22"

    assert replayed(kind, lambda: date(2026, 11, 22), output_type=date).value == date(2026, 11, 22)
    assert replayed(kind, step, output_type=str).value == "2026-11-22"


def test_output_type_makes_the_type_of_json():
    """What it is for: a function that is not ours and returns JSON."""

    def get_json():
        return {"city": "Ulm", "zip": "8"}

    assert replayed("sync", get_json, output_type=Address).value == Address(city="Ulm", zip=8)


# Functions of every kind.


class Address(BaseModel):
    city: str
    zip: int = 1


ULM = Address(city="Ulm", zip=8)


@written_both_ways
@pytest.mark.parametrize("name", ["method", "of_class", "static", "__call__"])
def test_methods(name, future):
    made = sample("list[Item]", future=future)
    function = getattr(made.Worker(), name)
    assert replayed("sync", function).value == [made.ITEM]
    assert replayed("async", function).value == [made.ITEM]


@written_both_ways
def test_callable_objects(future):
    made = sample("Item", future=future)
    assert replayed("sync", made.Worker()).value == made.ITEM


@both
def test_an_object_with_func(kind):
    """Not a partial, though it has a ``func``."""

    class Task:
        func = "not a function"

        def __call__(self) -> Address:
            return ULM

    assert replayed(kind, Task()).value == ULM


@written_both_ways
@both
def test_partials(kind, future):
    source = f"""{TYPES}
def step(number: int, *, extra: int = 0) -> tuple[int, datetime]:
    return number + extra, NOON

async def async_step(number: int) -> tuple[int, datetime]:
    return number, NOON
"""
    made = module(source, future=future)
    assert replayed(kind, functools.partial(made.step, extra=2), 1).value == (3, NOON)
    assert replayed(kind, functools.partial(functools.partial(made.step, 1), extra=1)).value == (2, NOON)
    if kind == "async":
        assert replayed(kind, functools.partial(made.async_step, 1)).value == (1, NOON)


@both
@pytest.mark.parametrize(
    ("made_by", "args", "expected"),
    [
        (Address, {"city": "Ulm"}, Address(city="Ulm")),
        (Decimal, {"value": "1.5"}, Decimal("1.5")),
        (UUID, {"int": 7}, UUID(int=7)),
        (timedelta, {"days": 1}, timedelta(days=1)),
    ],
)
def test_classes(made_by, args, expected, kind):
    assert replayed(kind, made_by, **args).value == expected
    assert replayed(kind, functools.partial(made_by, **args)).value == expected


@pytest.mark.parametrize(("made_by", "args"), [(str, [5]), (int, ["5"]), (dict, [{"a": 1}]), (list, ["ab"])])
def test_plain_classes(made_by, args):
    check_equal(replayed("sync", made_by, *args).value, made_by(*args))


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (sum, [[1, 2]], 3),
        (sorted, [[2, 1]], [1, 2]),
        (json.loads, ['{"a": 1}'], {"a": 1}),
        ("a-b".split, ["-"], ["a", "b"]),
        (lambda: ULM, [], {"city": "Ulm", "zip": 8}),
        (lambda: (1, NOON), [], [1, "2026-11-22T12:00:00+00:00"]),
        (uuid4, [], None),
    ],
    ids=range(7),
)
def test_functions_without_annotation_give_json(function, args, expected):
    step = replayed("sync", function, *args)
    check_equal(step.value, step.ran.op["data"])
    assert step.value == (expected if expected is not None else str(UUID(step.value)))


def traced(function):
    """A decorator as many users write it."""

    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


@written_both_ways
@both
def test_decorated_functions(kind, future):
    """All of one decorator's functions have the same code object: they must not be taken for each other."""
    source = f"""{TYPES}
def first() -> Item:
    return ITEM

def second() -> Point:
    return Point(1, NOON)

def third():
    return {{"x": 1}}
"""
    made = module(source, future=future)
    for _ in range(2):
        assert replayed(kind, traced(made.first)).value == made.ITEM
        assert replayed(kind, traced(made.second)).value == made.Point(1, NOON)
        assert replayed(kind, traced(made.third)).value == {"x": 1}


def test_decorated_functions_of_two_modules():
    """Their annotations are the same text, and different types."""
    source = """
class Result({base}):
    x: int
def step() -> Result:
    return Result(x=1)
"""
    one = module("from pydantic import BaseModel\n" + source.format(base="BaseModel"), future=True)
    two = module("from pydantic import BaseModel as Base\n" + source.format(base="Base"), future=True)
    for made in (one, two, one):
        assert type(replayed("sync", traced(made.step)).value) is made.Result


def test_functions_alike_in_two_modules():
    """Same name, same line, same code: only their annotations differ."""
    source = f"{TYPES}\ndef step() -> {{}}:\n    return EXPECTED"
    for annotation, expected in [("Item", "ITEM"), ("Point", "Point(1)"), ("datetime", "NOON"), ("int", "1")]:
        made = module(source.format(annotation) + f"\nEXPECTED = {expected}", future=False)
        check_equal(replayed("sync", made.step).value, made.EXPECTED)


def test_a_local_type_of_each_call():
    """The function is defined anew in every call, and its type with it."""

    def define():
        class Local(BaseModel):
            number: int

        def step() -> Local:
            return Local(number=1)

        return step, Local

    for _ in range(3):
        step, local = define()
        assert type(replayed("sync", step).value) is local


def test_functions_of_a_factory():
    def make(result):
        def step() -> type(result):
            return result

        return step

    for result in (ULM, NOON, UUID(int=7), "text", Decimal(1)):
        check_equal(replayed("sync", make(result)).value, result)


def test_cached_functions():
    @functools.cache
    def step() -> Address:
        return ULM

    @functools.lru_cache(maxsize=1)
    def other(number: int) -> date:
        return date(2026, 1, number)

    assert replayed("sync", step).value == ULM
    assert replayed("sync", other, 2).value == date(2026, 1, 2)


def test_single_dispatch():
    @functools.singledispatch
    def step(value) -> Address:
        return ULM

    @functools.singledispatch
    def other(value) -> UUID:
        return UUID(int=7)

    assert replayed("sync", step, 1).value == ULM
    assert replayed("sync", other, 1).value == UUID(int=7)


@both
@pytest.mark.parametrize(
    "mock", [Mock, MagicMock, functools.partial(Mock, spec=len), functools.partial(Mock, spec=traced)]
)
def test_mocks(mock, kind):
    """Every attribute of a mock is another mock, and it may claim to be of any class."""
    assert replayed(kind, mock(return_value={"a": 1})).value == {"a": 1}


def test_a_mock_as_handler():
    declare = create_function(id="fn", trigger=event_trigger("x"))
    with time_limit(1):
        assert declare(Mock(return_value=1)).is_async is False


@both
def test_nested_functions_with_local_types(kind):
    class Local(BaseModel):
        number: int

    def step() -> Local:
        return Local(number=1)

    assert replayed(kind, step).value == Local(number=1)


def test_local_types_named_by_text():
    """What is not found by its name stays JSON; what is, is of its type."""
    source = """
from pydantic import BaseModel
def make():
    class Local(BaseModel):
        number: int
    def step() -> Local:
        return Local(number=1)
    return step, Local
"""
    step, local = module(source, future=True).make()
    assert replayed("sync", step).value in ({"number": 1}, local(number=1))


def test_names_that_only_type_checkers_see():
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from somewhere import Receipt
def step() -> Receipt:
    return {"total": 1}
def steps() -> list[Receipt] | None:
    return [{"total": 1}]
async def async_step() -> Receipt:
    return {"total": 1}
"""
    made = module(source, future=True)
    assert replayed("sync", made.step).value == {"total": 1}
    assert replayed("sync", made.steps).value == [{"total": 1}]
    assert replayed("async", made.async_step).value == {"total": 1}


@both
def test_parameters_that_only_type_checkers_see(kind):
    """As linters have it: what only annotates parameters is imported for type checkers. The result's type is there."""
    source = f"""{TYPES}
TYPE_CHECKING = False
if TYPE_CHECKING:
    from somewhere import Client
def step(client: Client, *rest: Unknown) -> Item:
    return ITEM
"""
    made = module(source, future=True)
    assert replayed(kind, made.step, "client").value == made.ITEM


@pytest.mark.parametrize(
    "annotation", ["'the total'", "'no such name'", "5", "'5'", "[int]", "'1/0'", "'a.b'", "'x['", "...", "print"]
)
def test_annotations_that_are_no_types(annotation):
    made = module(f"def step() -> {annotation}:\n    return 1", future=False)
    assert replayed("sync", made.step).value == 1


# Types that pydantic does not know.


class Opaque:
    """A class of the user's own, which JSON does not know either."""

    def clone(self) -> typing_extensions.Self:
        return {"a": 1}


def gives_json() -> Opaque:
    return {"a": 1}


def gives_exception() -> ValueError:
    return {"a": 1}


def gives_nested() -> list[Opaque | None]:
    return [None]


@both
@pytest.mark.parametrize("function", [gives_json, Opaque().clone, gives_exception, gives_nested])
def test_a_type_that_pydantic_does_not_know(function, kind):
    """The work is done once: it must not be repeated because its type cannot be made."""
    done = []

    @functools.wraps(function)
    def step():
        done.append(1)
        return function()

    server = Server(declare(kind, lambda ctx: ctx.step.run("a", step)))
    answer = server.run()
    assert len(done) <= 1, f"the work was done {len(done)} times: {answer}"
    assert answer.status == 200 or answer.json["name"] == "ConfigurationError", answer


def test_awaitables():
    """A sync function that returns an awaitable: its result is what that gives."""
    source = f"""{TYPES}
from collections.abc import Awaitable, Coroutine
import asyncio
async def item():
    return ITEM
def awaitable() -> Awaitable[Item]:
    return item()
def coroutine() -> Coroutine[Any, Any, Item]:
    return item()
def future() -> asyncio.Future[Item]:
    return asyncio.ensure_future(item())
def task() -> "asyncio.Task[Item]":
    return asyncio.get_running_loop().create_task(item())
"""
    made = module(source, future=False)
    for name in ("awaitable", "coroutine", "future", "task"):
        assert replayed("async", getattr(made, name)).value == made.ITEM


# Forms: what is written can be read.


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    side: int

    @computed_field
    @property
    def area(self) -> int:
        return self.side**2


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    at: datetime
    parts: tuple[int, ...]
    names: set[str]


class Renamed(BaseModel):
    number: int = Field(serialization_alias="theNumber")


class Encoded(BaseModel):
    content: Json[dict[str, int]]


class Binary(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    content: bytes


@pydantic.dataclasses.dataclass
class Aliased:
    created: datetime = Field(alias="createdAt")


@dataclass
class Defaults:
    numbers: list[int] = field(default_factory=list)
    made: int = field(init=False, default=5)


FORMS = [
    Computed(side=2),
    Strict(at=NOON, parts=(1, 2), names={"a"}),
    Renamed(number=1),
    Encoded(content='{"a": 1}'),
    Binary(content=b"\xff\x00"),
    Aliased(createdAt=NOON),
    Defaults([1]),
]


@pytest.mark.parametrize("result", FORMS, ids=lambda result: type(result).__name__)
def test_what_is_written_can_be_read(result):
    check_equal(replayed("sync", lambda: result, output_type=type(result)).value, result)
    check_equal(replayed("sync", lambda: [result], output_type=list[type(result)]).value, [result])


def test_the_aliases_are_on_the_wire():
    made = sample("Item")
    data = replayed("sync", made.sync_step).ran.op["data"]
    assert data == {"itemId": str(UUID(int=7)), "price": "1.50", "sizes": [3]}


class Formatted(BaseModel):
    """Meant for who reads it, not to be read back."""

    price: Decimal

    @field_serializer("price")
    def _format(self, price):
        return f"{price} EUR"


class Flat(BaseModel):
    price: Decimal

    @model_serializer
    def _flatten(self):
        return [str(self.price)]


@pytest.mark.parametrize("result", [Formatted(price=Decimal("1.50")), Flat(price=Decimal("1.50"))])
def test_what_cannot_be_read_again_is_refused_at_once(result):
    answer = call(declare("sync", lambda ctx: ctx.step.run("a", lambda: result, output_type=type(result))))
    assert answer.op["op"] == "StepFailed"
    assert answer.op["error"]["name"] == "OutputError"
    assert "1.50" not in answer.body


@both
@pytest.mark.parametrize(
    ("result", "expected"),
    [(Formatted(price=Decimal("1.50")), {"price": "1.50 EUR"}), (Flat(price=Decimal("1.50")), ["1.50"])],
)
def test_a_functions_result_need_not_be_read_again(result, expected, kind):
    """All of its steps are done: its result goes out as its type writes it."""

    def handler(ctx) -> type(result):
        return result

    async def async_handler(ctx) -> type(result):
        return result

    fn = create_function(id="fn", trigger=event_trigger("x"))(handler if kind == "sync" else async_handler)
    assert call(fn).json == expected


def test_a_secret_is_not_replaced_in_silence():
    """pydantic writes asterisks for it: the step has either its result, or an error that says why not."""

    class Login(BaseModel):
        token: SecretStr

    step = replayed("sync", lambda: Login(token="abc"), output_type=Login)
    if step.answer.status == 200:
        assert step.value.token.get_secret_value() == "abc"
    else:
        assert step.answer.json["name"] == "OutputError"
        assert "abc" not in step.answer.body


# Values that are not of the annotated type.


def misfit(annotation, value):
    return module(f"{TYPES}\ndef step() -> {annotation}:\n    return {value}", future=False).step


MISFITS = [
    ("Item", f"'{SECRET}'"),
    ("Item", f"{{'price': '{SECRET}'}}"),
    ("Item", f"Cat.model_construct(kind='{SECRET}')"),
    ("list[Item]", f"[ITEM, '{SECRET}']"),
    ("dict[str, Item]", f"{{'{SECRET}': 5}}"),
    ("datetime", f"'{SECRET}'"),
    ("UUID", f"'{SECRET}'"),
    ("Decimal", f"'{SECRET}'"),
    ("Color", f"'{SECRET}'"),
    ("tuple[int, int]", f"(1, '{SECRET}')"),
    ("Item", "None"),
    ("list[Item]", "[None]"),
    ("datetime", "None"),
    ("UUID", "None"),
    ("Color", "None"),
    ("Row", "None"),
    ("Cat | Dog", "None"),
]


@both
@pytest.mark.parametrize(("annotation", "value"), MISFITS)
def test_a_value_of_another_type(annotation, value, kind):
    """It fails when it is made, for good: a retry would make it again. It is not kept to fail on every replay."""
    answer = call(declare(kind, lambda ctx: ctx.step.run("a", misfit(annotation, value))))
    assert answer.op["op"] == "StepFailed", answer
    assert answer.headers["x-inngest-no-retry"] == "true"
    assert answer.op["error"]["name"] == "OutputError"
    assert "step 'a'" in answer.op["error"]["message"]
    assert SECRET not in answer.body


@pytest.mark.parametrize(("annotation", "value"), [("Item", "{'a': 1}"), ("Decimal", "'x'"), ("Item", "None")])
def test_the_message_names_the_type(annotation, value):
    """JSON could hold these: that is not what is wrong with them."""
    answer = call(declare("sync", lambda ctx: ctx.step.run("a", misfit(annotation, value))))
    message = answer.op["error"]["message"]
    assert annotation in message
    assert "JSON cannot hold" not in message
    assert "Pydantic" not in message


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        ("Decimal", "0", "Decimal(0)"),
        ("Decimal", "'1.5'", "Decimal('1.5')"),
        ("list[Item]", "(ITEM,)", "[ITEM]"),
        ("tuple[int, ...]", "[1]", "(1,)"),
        ("Color", "'red'", "Color.RED"),
        ("UUID", "str(ID)", "ID"),
        ("datetime", "'2026-11-22T12:00:00Z'", "NOON"),
        ("Item", "ITEM.model_dump(mode='json')", "ITEM"),
        ("Item", "ITEM.model_dump(by_alias=True)", "ITEM"),
        ("dict[str, Point]", "{'a': {'x': 1}}", "{'a': Point(1)}"),
    ],
)
def test_a_value_that_stands_for_the_type(annotation, value, expected):
    """The work is done and its result can be read as the type: it is not thrown away."""
    made = sample(annotation, result=value)
    check_equal(replayed("sync", made.sync_step).value, eval(expected, vars(made)))  # noqa: S307 - our own text


def test_a_value_of_a_subclass():
    class Detailed(Address):
        street: str = "Main"

    def step() -> Address:
        return Detailed(city="Ulm")

    assert replayed("sync", step).value == Address(city="Ulm")


# Values beyond JSON where no type is known.


class Level(Enum):
    HIGH = "high"


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    YES = "yes"


class Spot(NamedTuple):
    x: int
    at: datetime


@dataclass
class Trip:
    start: Spot
    stops: dict[str, Address]
    level: Level = Level.HIGH


UNTYPED = [
    ({"a": ULM}, {"a": {"city": "Ulm", "zip": 8}}),
    ([ULM, (ULM,)], [{"city": "Ulm", "zip": 8}, [{"city": "Ulm", "zip": 8}]]),
    (
        Trip(Spot(1, NOON), {"b": ULM}),
        {
            "start": [1, "2026-11-22T12:00:00+00:00"],
            "stops": {"b": {"city": "Ulm", "zip": 8}},
            "level": "high",
        },
    ),
    ([date(2026, 1, 2), time(12, 30), UUID(int=7)], ["2026-01-02", "12:30:00", str(UUID(int=7))]),
    ({"n": Decimal("1.10"), "l": [Level.HIGH, Number.ONE, Word.YES]}, {"n": "1.10", "l": ["high", 1, "yes"]}),
]


@both
@pytest.mark.parametrize(("value", "expected"), UNTYPED, ids=range(len(UNTYPED)))
def test_values_beyond_json_in_untyped_results(value, expected, kind):
    assert replayed(kind, lambda: value).value == expected


def gives_any() -> Any:
    return {"a": ULM, "at": NOON}


def gives_dict() -> dict[str, Any]:
    return {"a": ULM, "at": NOON}


def gives_object() -> object:
    return {"a": ULM, "at": NOON}


def gives_bare() -> dict:
    return {"a": ULM, "at": NOON}


@pytest.mark.parametrize("function", [gives_any, gives_dict, gives_object, gives_bare])
def test_values_beyond_json_in_plain_types(function):
    expected = {"a": {"city": "Ulm", "zip": 8}, "at": "2026-11-22T12:00:00+00:00"}
    assert replayed("sync", function).value == expected


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, {SECRET}]}, "value.a[1]"),
        ([object()], "value[0]"),
        ({"a": {"b": b"x"}}, "value.a.b"),
        ({"a": float("nan")}, "value.a"),
        ([float("inf")], "value[0]"),
        (Address, "value"),
        ({"a": Trip(Spot(1, object()), {})}, "value.a.start[1]"),
        ({UUID(int=1): 1}, "value"),
        ({("a", SECRET): 1}, "value"),
    ],
    ids=range(9),
)
def test_values_that_have_no_form(value, place):
    answer = call(declare("sync", lambda ctx: ctx.step.run("a", lambda: value)))
    assert answer.op["op"] == "StepFailed"
    assert answer.op["error"]["name"] == "OutputError"
    assert place in answer.op["error"]["message"]
    assert SECRET not in answer.body


# Replay after the type changed.


@both
@pytest.mark.parametrize(
    ("data", "paths"),
    [
        ({"city": "Ulm", "zip": SECRET}, ["zip"]),
        ({"zip": 1}, ["city"]),
        ({"city": [SECRET]}, ["city"]),
        (SECRET, ["(all of it)"]),
        ([SECRET], ["(all of it)"]),
        (None, ["(all of it)"]),
    ],
)
def test_a_remembered_result_that_does_not_fit(data, paths, kind):
    def step() -> Address:
        return ULM

    fn = declare(kind, lambda ctx: ctx.step.run("a", step))
    message = check_failed(call(fn, memos={"a": {"data": data}}), "ResultTypeError", final=False)
    assert "step 'a'" in message
    assert [path for path in paths if path not in message] == []


def test_keys_of_a_mapping_are_not_told():
    def step() -> dict[str, Address]:
        return {}

    fn = declare("sync", lambda ctx: ctx.step.run("a", step))
    check_failed(call(fn, memos={"a": {"data": {f"{SECRET}@x.org": 5}}}), "ResultTypeError", final=False)


def test_a_validator_that_fails_on_replay_tells_no_values():
    class Fragile(BaseModel):
        text: str

        @pydantic.field_validator("text")
        @classmethod
        def _fail(cls, text):
            raise KeyError(text)

    fn = declare("sync", lambda ctx: ctx.step.run("a", dict, output_type=Fragile))
    answer = call(fn, memos={"a": {"data": {"text": SECRET}}})
    check_failed(answer, "ResultTypeError", final=False)


def test_a_deployment_may_mend_the_type():
    """The run goes on with the very memo that failed before."""

    def strict() -> Address:
        return ULM

    def mended() -> Optional[dict]:  # noqa: UP045 - the older spelling
        return {}

    memos = {"a": {"data": {"town": "Ulm"}}}
    assert call(declare("sync", lambda ctx: ctx.step.run("a", strict)), memos=memos).status == 500
    assert call(declare("sync", lambda ctx: ctx.step.run("a", mended)), memos=memos).json == {"town": "Ulm"}


@both
def test_a_failed_step_is_not_read_as_its_type(kind):
    def step() -> Address:
        return ULM

    memo = {"error": {"name": "ValueError", "message": "no"}}
    answer = call(declare(kind, lambda ctx: ctx.step.run("a", step)), memos={"a": memo})
    assert check_failed(answer, "ValueError", final=True) == "no"


# Plain JSON costs nothing.

PLAIN = [
    "None",
    "bool",
    "int",
    "float",
    "str",
    "object",
    "list",
    "dict",
    "list[int]",
    "list[list[str]]",
    "dict[str, int]",
    "dict[str, list[bool | None]]",
    "int | None",
    "str | int | None",
    "list[dict[str, float]] | None",
]


@pytest.mark.parametrize("future", [False, True], ids=["real", "text"])
def test_plain_types_load_no_pydantic(future):
    functions = "\n".join(
        f"def step_{number}() -> {annotation}:\n    return None" for number, annotation in enumerate(PLAIN)
    )
    program = f"""
from inngest_serverless.result_types import result_type
from inngest_serverless.serialization import encode_output
{functions}
def bare(a, b=1): return a
steps = [bare, lambda: 1, sum, sorted, str, int, dict, len, "a".split, *[globals()[f"step_{{n}}"] for n in range({len(PLAIN)})]]
for step in steps:
    assert result_type(step) is None, step
    assert encode_output({{"a": [1, None]}}, "step", result_type(step)) == '{{"a":[1,null]}}'
"""
    loaded = loaded_modules(program, future=future)
    assert not {"pydantic", "pydantic_core", "typing", "inspect", "dataclasses"} & loaded


def test_plain_types_of_typing_load_no_pydantic():
    program = """
from typing import Any, Dict, List, Optional, Union, TypeVar
from inngest_serverless.result_types import result_type
T = TypeVar("T")
def a() -> Any: ...
def b() -> Dict[str, Any]: ...
def c() -> List[Optional[int]]: ...
def d() -> Union[str, None]: ...
def e(x: T) -> T: ...
def f(x: T) -> list[T]: ...
assert [result_type(step) for step in (a, b, c, d, e, f)] == [None] * 6
"""
    assert "pydantic" not in loaded_modules(program)


def test_pydantic_is_loaded_when_a_typed_result_is_met():
    program = """
import sys
from datetime import datetime, UTC
from inngest_serverless.result_types import result_type
from inngest_serverless.serialization import encode_output
def step() -> datetime: ...
kind = result_type(step)
assert "pydantic" not in sys.modules, "its type alone needs no pydantic"
print(encode_output(datetime(2026, 1, 2, tzinfo=UTC), "step", kind), file=sys.stderr)
"""
    assert "pydantic" in loaded_modules(program)


# Nothing is kept.


class Payload:
    """Something that can be seen to be gone."""


def _result(payload) -> Address:
    return ULM


class Holder:
    def __init__(self, payload):
        self.payload = payload

    def __call__(self) -> Address:
        return ULM


@pytest.mark.parametrize(
    "make",
    [
        lambda payload: functools.partial(_result, payload),
        Holder,
        lambda payload: lambda: payload and ULM,
        lambda payload: Holder(payload).__call__,
        lambda payload: functools.partial(Holder(payload)),
    ],
    ids=["partial", "object", "lambda", "method", "partial-of-object"],
)
def test_a_warm_process_keeps_no_arguments(make):
    """One process serves thousands of calls: what a step was given is not remembered with its type."""
    payload = Payload()
    gone = weakref.ref(payload)
    replayed("sync", make(payload))
    del payload
    gc.collect()
    assert gone() is None


# Results of functions.


@both
@pytest.mark.parametrize(("value", "expected"), UNTYPED, ids=range(len(UNTYPED)))
def test_function_results_beyond_json(value, expected, kind):
    assert call(declare(kind, lambda ctx: value)).json == expected


@written_both_ways
@pytest.mark.parametrize("annotation", ["Item", "list[Item] | None", "Row", "tuple[int, datetime]", "Page[Item]"])
def test_typed_function_results(annotation, future):
    source = f"""{TYPES}
from inngest_serverless import AsyncContext, Context, create_function, event_trigger
def fn(ctx: Context) -> {annotation}:
    return {RESULTS.get(annotation, "[ITEM]")}
async def async_fn(ctx: AsyncContext) -> {annotation}:
    return {RESULTS.get(annotation, "[ITEM]")}
declare = create_function(id="fn", trigger=event_trigger("x"))
"""
    made = module(source, future=future)
    expected = call(made.declare(made.fn)).json
    assert call(made.declare(made.async_fn)).json == expected
    assert json.dumps(expected) == json.dumps(
        replayed("sync", lambda: made.fn(None), output_type=eval(annotation, vars(made))).ran.op["data"]  # noqa: S307
    )


@both
def test_a_function_result_of_another_type(kind):
    def handler(ctx) -> Address:
        return {"city": SECRET, "zip": SECRET}

    async def async_handler(ctx) -> Address:
        return handler(ctx)

    fn = create_function(id="fn", trigger=event_trigger("x"))(handler if kind == "sync" else async_handler)
    assert "function 'fn'" in check_failed(call(fn), "OutputError", final=True)


CHILD = f"""{TYPES}
from inngest_serverless import AsyncContext, Context, create_function, event_trigger
child_trigger = event_trigger("child")

@create_function(id="child", trigger=child_trigger)
def child(ctx: Context) -> list[Item]:
    return [ITEM]

@create_function(id="child", trigger=child_trigger)
async def async_child(ctx: AsyncContext) -> list[Item]:
    return [ITEM]

@create_function(id="child", trigger=child_trigger)
def plain(ctx: Context):
    return [ITEM]
"""


def invoked(kind, child, data):
    values = []

    def script(ctx):
        found = ctx.step.invoke("i", function=child, data={"a": 1})
        return note(found) if hasattr(found, "__await__") else values.append(found)

    async def note(found):
        values.append(await found)

    return values, call(declare(kind, script), memos={"i": {"data": data}})


@both
@written_both_ways
@pytest.mark.parametrize("name", ["child", "async_child"])
def test_an_invoked_functions_result_is_of_its_type(name, future, kind):
    made = module(CHILD, future=future)
    data = json.loads(f"[{made.ITEM.model_dump_json(by_alias=True)}]")
    [value], _ = invoked(kind, getattr(made, name), data)
    assert value == [made.ITEM]


@both
def test_an_invoked_function_whose_context_only_type_checkers_see(kind):
    """The usual case under linters: ``Context`` is imported for type checkers."""
    text = CHILD.replace("import AsyncContext, Context, create_function", "import create_function")
    made = module(text, future=True)
    data = json.loads(f"[{made.ITEM.model_dump_json(by_alias=True)}]")
    [value], _ = invoked(kind, made.child, data)
    assert value == [made.ITEM]


@both
def test_an_invoked_function_without_annotation_gives_json(kind):
    [value], _ = invoked(kind, module(CHILD, future=False).plain, [{"a": 1}])
    assert value == [{"a": 1}]


@both
def test_an_invoked_functions_result_that_does_not_fit(kind):
    values, answer = invoked(kind, module(CHILD, future=False).child, [{"price": SECRET}])
    assert values == []
    message = check_failed(answer, "ResultTypeError", final=False)
    assert "0.itemId" in message
    assert "0.price" in message


def test_a_typed_event_and_a_typed_result_together():
    """The example of the README: the step's argument comes from a typed event, its result goes on to the next step."""
    source = """
from pydantic import BaseModel
from inngest_serverless import Context, Event, create_function, event_trigger
class Data(BaseModel):
    email: str
class Receipt(BaseModel):
    to: str
    parts: list[str]
class Created(Event[Data], name="api/created"): ...
def send_email(to: str) -> Receipt:
    return Receipt(to=to, parts=["a"])
def follow_up(receipt: Receipt) -> str:
    return receipt.to + receipt.parts[0]
@create_function(id="fn", trigger=event_trigger(Created))
def fn(ctx: Context[Created]) -> str:
    receipt = ctx.step.run("email", send_email, ctx.event.data.email)
    return ctx.step.run("follow-up", follow_up, receipt)
"""
    server = Server(module(source, future=True).fn)
    server.event = event("api/created", {"email": "ada"})
    assert server.run().json == "adaa"


def test_generic_models_made_in_user_code():
    class Box(BaseModel, Generic[T]):
        item: T

    def tagged() -> Box[Address]:
        return Box[Address](item=ULM)

    def untagged() -> Box[Address]:
        return Box(item=ULM)

    assert replayed("sync", tagged).value == Box[Address](item=ULM)
    assert replayed("sync", untagged).value.item == ULM


class Options(TypedDict, total=False):
    retries: int


@both
def test_typed_dicts_of_plain_json(kind):
    def step() -> Options:
        return {"retries": 1}

    assert replayed(kind, step).value == {"retries": 1}


def test_simple_namespaces_have_no_form():
    answer = call(declare("sync", lambda ctx: ctx.step.run("a", lambda: SimpleNamespace(a=SECRET))))
    assert answer.op["error"]["name"] == "OutputError"
    assert SECRET not in answer.body
