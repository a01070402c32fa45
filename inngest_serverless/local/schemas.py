"""JSON schemas of typed events, for whoever offers a form for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from inngest_serverless.events import INVOKED_EVENT
from inngest_serverless.result_types import is_open

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inngest_serverless.functions import Function

__all__ = ["event_schemas"]


def event_schemas(functions: Iterable[Function[Any]]) -> dict[str, Any]:
    """The schemas of the data of the events that start functions.

    Args:
        functions: The functions.

    Returns:
        JSON schemas by the events' names. Events without a type are left out, and so are those whose type has no
        schema.
    """
    schemas: dict[str, Any] = {}
    for function in functions:
        for name, kind in function.event_types.items():
            data_type: Any = getattr(kind, "data_type", None)
            if name in {None, INVOKED_EVENT} or is_open(data_type):
                continue
            try:
                schemas[str(name)] = TypeAdapter(data_type).json_schema()
            except PydanticUserError:
                continue  # a type of the user's own that pydantic takes as it is
    return schemas
