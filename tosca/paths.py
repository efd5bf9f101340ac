"""The tail of a path in a function call: into a value, or along the types it will have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tosca.errors import Location, Problems, nearest
from tosca.nodes import Map, Node, Pending, Scalar, Seq, describe

if TYPE_CHECKING:
    from tosca.catalogue import Catalogue
    from tosca.definitions import Schema

IMPLAUSIBLE_INDEX: Final = 1000
"""An index from here on is more likely a port than a position in a list of machines."""


class Walker:
    """Follows list indices and map keys."""

    def __init__(self, problems: Problems) -> None:
        """Report to `problems`."""
        self._problems = problems

    def into(self, value: Node, steps: tuple[Node, ...], what: str, place: Location) -> Node:
        """Follow steps into a value; a pending value stays pending."""
        for step in steps:
            key = step.text if isinstance(step, Scalar) else ""
            if isinstance(value, Pending):
                return value
            if isinstance(value, Map) and key in value.entries:
                value = value.entries[key]
                continue
            if isinstance(value, Seq) and key.isdigit() and int(key) < len(value.items):
                value = value.items[int(key)]
                continue
            remedy = nearest(key, value.entries) if isinstance(value, Map) else ""
            size = f" with {len(value.items)} items" if isinstance(value, Seq) else ""
            message = f"{what} is {describe(value)}{size} and has no {key!r}"
            self._problems.error(step.location, message, remedy, "bad-path")
            return Pending("error", (), place)
        return value

    def along(
        self, schema: Schema, steps: tuple[Node, ...], what: str, catalogue: Catalogue
    ) -> None:
        """Follow steps along a definition, for a value that is not there yet."""
        current: Schema | None = schema
        for step in steps:
            if current is None:
                return
            key = step.text if isinstance(step, Scalar) else ""
            primitive = catalogue.root_primitive(current.type)
            if primitive == "list":
                self._index(step, key, what)
                current = current.entry
            elif primitive in {"map", "json", "xml", "any"}:
                current = current.entry
            elif primitive is None:
                current = self._field(current, step, key, what, catalogue)
            else:
                message = f"{what} is a {primitive} and has no {key!r}"
                self._problems.error(step.location, message, code="bad-path")
                return

    def _index(self, step: Node, key: str, what: str) -> None:
        if not key.isdigit():
            message = f"{what} is a list, an index was expected instead of {key!r}"
            self._problems.error(step.location, message, code="bad-path")
        elif len(key) > len(str(IMPLAUSIBLE_INDEX)) or int(key) >= IMPLAUSIBLE_INDEX:
            message = f"{what} is a list of machines or values, item {key} will not exist"
            remedy = "a port is not an index: join it with concat"
            self._problems.warning(step.location, message, remedy, "index-range")

    def _field(
        self, schema: Schema, step: Node, key: str, what: str, catalogue: Catalogue
    ) -> Schema | None:
        data_type = catalogue.get("data", schema.type)
        if data_type is None or key in data_type.properties:
            return data_type.properties[key] if data_type else None
        message = f"{what} ({data_type.name}) has no {key!r}"
        remedy = nearest(key, data_type.properties)
        self._problems.error(step.location, message, remedy, "bad-path")
        return None
