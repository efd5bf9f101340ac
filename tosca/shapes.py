"""The shapes that YAML of TOSCA comes in, and what to say when it comes in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tosca.errors import nearest
from tosca.nodes import Map, Node, Scalar, Seq, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tosca.errors import Location, Problems


def entries(owner: Map, key: str, problems: Problems) -> Iterator[tuple[str, Location, Map]]:
    """Walk a section whose values are maps; a null value counts as an empty map."""
    for name, place, node in pairs(owner, key, problems):
        if isinstance(node, Map):
            yield name, place, node
        elif isinstance(node, Scalar) and node.value is None:
            yield name, place, Map({}, {}, place)
        else:
            problems.error(place, f"{name} is {describe(node)}, a map was expected", code="shape")


def pairs(owner: Map, key: str, problems: Problems) -> Iterator[tuple[str, Location, Node]]:
    """Walk a section that must be a map, whatever its values are."""
    section = owner.get(key)
    if section is None:
        return
    if not isinstance(section, Map):
        message = f"{key} is {describe(section)}, a map was expected"
        problems.error(owner.at(key), message, code="shape")
        return
    for name, node in section.entries.items():
        yield name, section.keys[name], node


def listed(owner: Map, key: str, problems: Problems) -> Iterator[tuple[str, Location, Node]]:
    """Walk a list of one-entry maps, the way requirements and policies are written."""
    section = owner.get(key)
    if section is None:
        return
    if not isinstance(section, Seq):
        message = f"{key} is {describe(section)}, a list of one-entry maps was expected"
        problems.error(owner.at(key), message, "write `- name: ...`", "shape")
        return
    for item in section:
        if isinstance(item, Map) and len(item.entries) == 1:
            (name,) = item.entries
            yield name, item.keys[name], item.entries[name]
        else:
            message = f"an item of {key} is {describe(item)}, a one-entry map was expected"
            problems.error(item.location, message, "write `- name: ...`", "shape")


def word(owner: Map, key: str, problems: Problems) -> str | None:
    """Read a key whose value must be a single text, such as a type name."""
    node = owner.get(key)
    if node is None:
        return None
    if isinstance(node, Scalar):
        return node.text
    problems.error(owner.at(key), f"{key} is {describe(node)}, a text was expected", code="shape")
    return None


def known_keys(owner: Map, allowed: frozenset[str], what: str, problems: Problems) -> None:
    """Report keys that TOSCA does not have at this place."""
    for key in owner.entries:
        if key not in allowed:
            message = f"{what} has no key {key!r}"
            problems.formal(owner.keys[key], message, nearest(key, allowed), "unknown-key")
