"""YAML values that know where they stand; the only form of input the rest of the package sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tosca.errors import Location

Plain: TypeAlias = str | int | float | bool | list["Plain"] | dict[str, "Plain"] | None
"""A value without places, as JSON has them."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `text` is the spelling in the file, so that `1.10` given for text stays 1.10."""

    value: str | float | bool | None
    text: str
    location: Location
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Seq:
    """A list."""

    items: tuple[Node, ...]
    location: Location

    def __iter__(self) -> Iterator[Node]:
        """Iterate over the items."""
        return iter(self.items)


@dataclass(frozen=True, slots=True)
class Map:
    """A map; keys are texts, whatever YAML makes of them."""

    entries: dict[str, Node]
    keys: dict[str, Location]
    location: Location

    def get(self, key: str) -> Node | None:
        """Give the value of a key; None when it is absent or null, which TOSCA treats alike."""
        node = self.entries.get(key)
        return None if isinstance(node, Scalar) and node.value is None else node

    def at(self, key: str) -> Location:
        """Give the place of a key, or of the map when the key is absent."""
        return self.keys.get(key, self.location)


@dataclass(frozen=True, slots=True)
class Pending:
    """A value known only once the thing runs: an attribute, or a text made from one."""

    function: str
    arguments: tuple[Node, ...]
    location: Location


Node: TypeAlias = Scalar | Seq | Map | Pending


def text(value: str, location: Location) -> Scalar:
    """Make a text that was computed rather than read."""
    return Scalar(value, value, location, quoted=True)


def plain(node: Node | None) -> Plain:
    """Drop the places. A pending value becomes the call that will give it."""
    match node:
        case None:
            return None
        case Scalar():
            return node.value
        case Seq():
            return [plain(item) for item in node.items]
        case Map():
            return {key: plain(value) for key, value in node.entries.items()}
        case Pending():
            return {node.function: [plain(argument) for argument in node.arguments]}


def describe(node: Node | None) -> str:
    """Name a value in an error message: its kind, and the value itself when it is short."""
    match node:
        case None:
            return "nothing"
        case Seq():
            return "a list"
        case Map():
            return "a map"
        case Pending():
            return f"the result of {node.function}"
        case Scalar(value=None):
            return "nothing"
        case Scalar():
            short = 60
            shown = node.text if len(node.text) <= short else node.text[:short] + "..."
            return repr(shown) if isinstance(node.value, str) else shown
