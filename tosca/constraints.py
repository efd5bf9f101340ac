"""Whether a value meets the conditions of its definition (Simple Profile 1.3, section 3.6.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from tosca.nodes import Map, Node, Scalar, Seq, describe
from tosca.scalars import UNITS, quantity

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    from tosca.definitions import Constraint
    from tosca.errors import Problems

Comparable: TypeAlias = "int | float | Fraction | str | tuple[int | str, ...]"

_LENGTHS: dict[str, Callable[[int, int], bool]] = {
    "length": lambda have, want: have == want,
    "min_length": lambda have, want: have >= want,
    "max_length": lambda have, want: have <= want,
}
_MAX_PATTERN_TEXT = 4096
_WORDS = {
    "equal": "exactly",
    "greater_than": "more than",
    "greater_or_equal": "at least",
    "less_than": "less than",
    "less_or_equal": "at most",
    "in_range": "within",
    "valid_values": "one of",
    "length": "a length of",
    "min_length": "a length of at least",
    "max_length": "a length of at most",
    "pattern": "the pattern",
    "schema": "the schema",
}


def check(
    constraint: Constraint, node: Node, primitive: str, what: str, problems: Problems
) -> None:
    """Report a value that breaks a constraint; `primitive` is the type that gives it its order.

    A constraint that makes no sense itself is reported at its own place.
    """
    met = _met(constraint, node, primitive)
    if met is None:
        problems.formal(
            constraint.location,
            f"{constraint.kind} cannot be {describe(constraint.argument)} for type {primitive}",
            code="bad-constraint",
        )
    elif not met:
        problems.error(
            node.location,
            f"{what}: {describe(node)} given, {explain(constraint)} was expected",
            code="constraint",
        )


def explain(constraint: Constraint) -> str:
    """Say a constraint in words, as a schema or an error message does."""
    argument = constraint.argument
    items = argument.items if isinstance(argument, Seq) else (argument,)
    shown = ", ".join(item.text for item in items if isinstance(item, Scalar))
    return f"{_WORDS[constraint.kind]} {shown}"


def _met(constraint: Constraint, node: Node, primitive: str) -> bool | None:
    """Tell whether the value meets the constraint; None when the constraint cannot be applied."""
    kind, argument = constraint.kind, constraint.argument
    if kind in _LENGTHS:
        return _length(kind, node, argument)
    if kind == "valid_values":
        if not isinstance(argument, Seq):
            return None
        return any(_same(item, node, primitive) for item in argument)
    if kind == "equal":
        return _same(argument, node, primitive)
    if kind == "pattern":
        return _pattern(argument, node)
    if kind == "in_range":
        return _in_range(argument, node, primitive)
    if kind == "schema":
        return True
    return _ordered(kind, argument, node, primitive)


def _length(kind: str, node: Node, argument: Node) -> bool | None:
    if not isinstance(argument, Scalar) or not isinstance(argument.value, int):
        return None
    match node:
        case Scalar():
            return _LENGTHS[kind](len(node.text), argument.value)
        case Seq():
            return _LENGTHS[kind](len(node.items), argument.value)
        case Map():
            return _LENGTHS[kind](len(node.entries), argument.value)
        case _:
            return True


def _pattern(argument: Node, node: Node) -> bool | None:
    if not isinstance(argument, Scalar) or not isinstance(node, Scalar):
        return None
    try:
        pattern = re.compile(argument.text)
    except re.error:
        return None
    return len(node.text) <= _MAX_PATTERN_TEXT and pattern.fullmatch(node.text) is not None


def _in_range(argument: Node, node: Node, primitive: str) -> bool | None:
    if not isinstance(argument, Seq) or len(argument.items) != len(("least", "most")):
        return None
    if isinstance(node, Seq):
        met = [_in_range(argument, item, "integer") for item in node]
        return None if None in met else all(met)
    least, most = argument.items
    above = _unbounded(least) or _ordered("greater_or_equal", least, node, primitive)
    below = _unbounded(most) or _ordered("less_or_equal", most, node, primitive)
    return None if above is None or below is None else above and below


def _unbounded(node: Node) -> bool:
    return isinstance(node, Scalar) and node.text == "UNBOUNDED"


def _same(wanted: Node, node: Node, primitive: str) -> bool:
    left, right = comparable(wanted, primitive), comparable(node, primitive)
    return left is not None and left == right


def _ordered(kind: str, bound: Node, node: Node, primitive: str) -> bool | None:
    have, want = comparable(node, primitive), comparable(bound, primitive)
    if have is None or want is None or isinstance(have, str) != isinstance(want, str):
        return None
    try:
        return {
            "greater_than": lambda: have > want,  # type: ignore[operator]
            "greater_or_equal": lambda: have >= want,  # type: ignore[operator]
            "less_than": lambda: have < want,  # type: ignore[operator]
            "less_or_equal": lambda: have <= want,  # type: ignore[operator]
        }[kind]()
    except TypeError:
        return None


def comparable(node: Node, primitive: str) -> Comparable | None:
    """Turn a value into something with the order of its type; None when it has none."""
    if not isinstance(node, Scalar):
        return None
    if primitive in UNITS:
        return quantity(primitive, node.text)
    if primitive in {"integer", "float"}:
        try:
            return float(node.text) if "." in node.text else int(node.text.replace("_", ""))
        except ValueError:
            return node.value if isinstance(node.value, int | float) else None
    if primitive == "version":
        return tuple(int(part) if part.isdigit() else part for part in re.split(r"[.-]", node.text))
    if primitive == "boolean":
        return int(node.value) if isinstance(node.value, bool) else None
    return node.text
