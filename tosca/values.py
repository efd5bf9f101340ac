"""Checks a value against its definition and brings it into the definition's form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tosca import constraints
from tosca.errors import Problems, nearest
from tosca.nodes import Map, Node, Pending, Scalar, Seq, describe, text
from tosca.scalars import EXAMPLES, UNITS, expected_units, is_version, quantity

if TYPE_CHECKING:
    from tosca.catalogue import Catalogue
    from tosca.definitions import Constraint, Schema, TypeDef
    from tosca.errors import Location

MAX_DEPTH: Final = 80
"""Deepest value after references are followed; the files themselves are held to less."""
MAX_VISITS: Final = 500_000
"""Most values looked at for one template, so that references of references stay bounded."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}$")
_FLOAT = re.compile(r"[-+]?[0-9]{1,18}(\.[0-9]{1,18})?$")
_EXPECTED: Final = {
    "string": "a text",
    "integer": "a whole number",
    "float": "a number",
    "boolean": "true or false",
    "timestamp": "a point in time",
    "version": "a version such as 1.2.3",
    "list": "a list",
    "map": "a map",
    "range": "[lowest, highest]",
}


def _is_bare(node: Node) -> bool:
    """Tell whether a value is a number without anything after it."""
    if not isinstance(node, Scalar) or isinstance(node.value, bool):
        return False
    return isinstance(node.value, int | float)


class Checker:
    """Checks values; what it returns has the spelling normalised (`"4"` for an integer is 4)."""

    def __init__(self, catalogue: Catalogue, problems: Problems) -> None:
        """Report to `problems`, look types up in `catalogue`."""
        self._catalogue = catalogue
        self._problems = problems
        self._visits = 0

    def conform(
        self, node: Node, schema: Schema, what: str, *, depth: int = 0, used: Location | None = None
    ) -> Node:
        """Check one value and everything in it; a pending or null value passes as it is.

        `used` is where an expression stands that gave the value; with it, a size without a unit is
        only a warning, since an input of type integer may well hold one.
        """
        self._visits += 1
        if depth > MAX_DEPTH or self._visits > MAX_VISITS:
            limit = f"deeper than {MAX_DEPTH}" if depth > MAX_DEPTH else f"over {MAX_VISITS} values"
            if self._visits <= MAX_VISITS + 1:
                self._problems.error(
                    node.location, f"{what} is too large ({limit})", "write it flatter", "too-large"
                )
            return node
        if isinstance(node, Pending) or (isinstance(node, Scalar) and node.value is None):
            return node
        primitive = self._catalogue.root_primitive(schema.type)
        if primitive is None:
            data_type = self._catalogue.get("data", schema.type)
            # An unknown type was reported where it is written.
            return node if data_type is None else self._complex(node, data_type, what, depth)
        if primitive in UNITS and used not in {None, node.location} and _is_bare(node):
            message = f"{what}: {describe(node)} given, {expected_units(primitive)} was expected"
            self._problems.warning(node.location, message, f"used at {used}", "missing-unit")
            return node
        checked = self._primitive(node, primitive, schema, what, depth)
        if checked is None:
            return node
        self._constrain(checked, primitive, schema, what)
        return checked

    def _constrain(self, node: Node, primitive: str, schema: Schema, what: str) -> None:
        inherited: tuple[Constraint, ...] = ()
        if schema.type != primitive and (data_type := self._catalogue.get("data", schema.type)):
            inherited = data_type.constraints
        for constraint in (*inherited, *schema.constraints):
            constraints.check(constraint, node, primitive, what, self._problems)

    def _complex(self, node: Node, data_type: TypeDef, what: str, depth: int) -> Node:
        """Check a map against the properties of a data type."""
        if not isinstance(node, Map):
            self._mismatch(node, f"a map ({data_type.name})", what)
            return node
        checked = {}
        for name, value in node.entries.items():
            schema = data_type.properties.get(name)
            if schema is None:
                self._unknown(node.keys[name], name, data_type, what)
                continue
            checked[name] = self.conform(value, schema, f"{what}.{name}", depth=depth + 1)
        for name, schema in data_type.properties.items():
            if node.get(name) is not None:
                continue
            if schema.default is not None:
                checked[name] = schema.default
            elif schema.required:
                message = f"{what} lacks {name}, which {data_type.name} requires"
                self._problems.error(node.location, message, f"add `{name}:`", "missing-property")
        return Map(checked, {**dict.fromkeys(checked, node.location), **node.keys}, node.location)

    def _unknown(self, where: Location, name: str, data_type: TypeDef, what: str) -> None:
        message = f"{what} has no {name!r} in {data_type.name}"
        remedy = nearest(name, data_type.properties)
        self._problems.error(where, message, remedy, "unknown-property")

    def _mismatch(self, node: Node, expected: str, what: str) -> None:
        message = f"{what}: {describe(node)} given, {expected} was expected"
        self._problems.error(node.location, message, code="wrong-type")

    def _primitive(
        self, node: Node, primitive: str, schema: Schema, what: str, depth: int
    ) -> Node | None:
        """Check against a primitive type; None when the value is not of it (reported)."""
        if primitive in {"any", "json", "xml"}:
            return node
        if primitive == "list" and isinstance(node, Seq):
            return self._list(node, schema, what, depth)
        if primitive == "map" and isinstance(node, Map):
            return self._map(node, schema, what, depth)
        if primitive == "range" and isinstance(node, Seq):
            return node
        if not isinstance(node, Scalar) or primitive in {"list", "map", "range", "null"}:
            self._mismatch(node, _EXPECTED.get(primitive, f"a {primitive}"), what)
            return None
        if primitive in UNITS:
            if quantity(primitive, node.text) is None:
                self._wrong_unit(node, primitive, what)
                return None
            return text(node.text, node.location)
        return self._single(node, primitive, what)

    def _wrong_unit(self, node: Scalar, primitive: str, what: str) -> None:
        message = f"{what}: {describe(node)} given, {expected_units(primitive)} was expected"
        remedy = "add the unit, e.g. " if _is_bare(node) else "e.g. "
        remedy += EXAMPLES[primitive]
        self._problems.error(node.location, message, remedy, "wrong-unit")

    def _list(self, node: Seq, schema: Schema, what: str, depth: int) -> Seq:
        if schema.entry is None:
            return node
        entry = schema.entry
        items = (
            self.conform(item, entry, f"{what}[{number}]", depth=depth + 1)
            for number, item in enumerate(node.items)
        )
        return Seq(tuple(items), node.location)

    def _map(self, node: Map, schema: Schema, what: str, depth: int) -> Map:
        if schema.entry is None:
            return node
        entry = schema.entry
        checked = {
            name: self.conform(value, entry, f"{what}.{name}", depth=depth + 1)
            for name, value in node.entries.items()
        }
        return Map(checked, node.keys, node.location)

    def _single(self, node: Scalar, primitive: str, what: str) -> Node | None:
        """Check a single value; one that only needs another spelling is a warning."""
        value, spelled = node.value, node.text.strip()
        is_bool = isinstance(value, bool)
        match primitive:
            case "string" | "timestamp":
                if isinstance(value, str):
                    return node
                return self._coerced(node, node.text, "a text", what)
            case "boolean" if is_bool:
                return node
            case "boolean" if spelled.lower() in {"true", "false"}:
                return self._coerced(node, spelled.lower() == "true", "true or false", what)
            case "integer" if isinstance(value, int) and not is_bool:
                return node
            case "integer" if isinstance(value, str) and _INTEGER.match(spelled):
                return self._coerced(node, int(spelled), "a whole number", what)
            case "float" if isinstance(value, float):
                return node
            case "float" if not is_bool and _FLOAT.match(spelled):
                return self._coerced(node, float(spelled), "a number with a point", what)
            case "version" if not is_bool and is_version(spelled):
                return text(spelled, node.location)
        self._mismatch(node, _EXPECTED[primitive], what)
        return None

    def _coerced(self, node: Scalar, value: str | float | bool, form: str, what: str) -> Scalar:
        self._problems.warning(
            node.location,
            f"{what}: {describe(node)} given, {form} was expected",
            "it is read as such; quote or unquote it to say what you mean",
            "coercion",
        )
        return Scalar(value, node.text, node.location)
