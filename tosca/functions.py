"""The functions of the language, evaluated where they stand.

A call gives a node with a place: `get_input` gives the input's own node, so that a wrong value is
reported where it was written. What is known only at run time becomes Pending.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tosca.errors import Location, Problems, nearest
from tosca.nodes import Map, Node, Pending, Scalar, Seq, describe, text
from tosca.paths import Walker
from tosca.values import MAX_DEPTH, MAX_VISITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tosca.catalogue import Catalogue
    from tosca.definitions import TypeDef
    from tosca.template import NodeTemplate, RequirementUse, Template

MAX_TEXT: Final = 1024 * 1024
"""Longest text that concat makes, in characters."""

_CALLS: Final = frozenset({"get_input", "get_property", "get_attribute", "concat", "token"})
_LATER: Final = frozenset({"get_operation_output", "get_nodes_of_type", "get_artifact"})
_TOKEN_ARGUMENTS = 3


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression stands: in a node template, or in a relationship that leaves it."""

    node: str | None = None
    requirement: RequirementUse | None = None


def call_name(node: Node) -> str | None:
    """Name the function a map calls; `token: abc` of a credential is not a call."""
    if not isinstance(node, Map) or len(node.entries) != 1:
        return None
    (name,) = node.entries
    if name not in _CALLS | _LATER:
        return None
    return None if name == "token" and not isinstance(node.get(name), Seq) else name


class Evaluator:
    """Evaluates the expressions of one template for one set of inputs."""

    def __init__(
        self,
        template: Template,
        catalogue: Catalogue,
        inputs: Mapping[str, Node],
        problems: Problems,
    ) -> None:
        """Take inputs already checked; one without a value is pending."""
        self._template = template
        self._catalogue = catalogue
        self._inputs = inputs
        self._problems = problems
        self._walker = Walker(problems)
        self._values: dict[tuple[str, str, str], Node] = {}
        self._active: list[tuple[str, str, str]] = []
        self._depth = 0
        self._visits = 0

    def evaluate(self, node: Node, scope: Scope) -> Node:
        """Replace every call inside a value by what it gives."""
        if isinstance(node, Scalar | Pending):
            return node
        self._visits += 1
        if self._visits > MAX_VISITS or self._depth >= MAX_DEPTH:
            if self._visits <= MAX_VISITS + 1:
                self._error(node.location, "references go too deep or too far", "too-large")
            return Scalar(None, "", node.location)
        self._depth += 1
        try:
            if isinstance(node, Seq):
                items = tuple(self.evaluate(item, scope) for item in node.items)
                return Seq(items, node.location)
            name = call_name(node)
            if name is not None:
                return self._call(name, node, scope)
            values = {key: self.evaluate(value, scope) for key, value in node.entries.items()}
            return Map(values, node.keys, node.location)
        finally:
            self._depth -= 1

    def _error(self, place: Location, message: str, code: str, remedy: str = "") -> Node:
        self._problems.error(place, message, remedy, code)
        return Pending("error", (), place)

    def _call(self, name: str, node: Map, scope: Scope) -> Node:
        place = node.keys[name]
        argument = node.entries[name]
        if name == "get_input":
            return self._get_input(argument, place)
        if not isinstance(argument, Seq):
            if name in _LATER:
                return Pending(name, (argument,), place)
            message = f"{name} takes a list, {describe(argument)} was given"
            return self._error(place, message, "bad-call")
        if name in _LATER:
            return Pending(name, argument.items, place)
        if name == "concat":
            return self._concat(argument, scope, place)
        if name == "token":
            return self._token(argument, scope, place)
        return self._get(name, argument, scope, place)

    def _get_input(self, argument: Node, place: Location) -> Node:
        steps = argument.items if isinstance(argument, Seq) else (argument,)
        if not steps or not isinstance(steps[0], Scalar):
            return self._error(place, "get_input takes the name of an input", "bad-call")
        name = steps[0].text
        if name not in self._template.inputs:
            remedy = nearest(name, self._template.inputs)
            return self._error(
                steps[0].location, f"no input is called {name!r}", "unknown-input", remedy
            )
        value = self._inputs.get(name)
        if value is None:
            return Pending("get_input", steps, place)
        return self._walker.into(value, steps[1:], f"input {name}", place)

    def _concat(self, argument: Seq, scope: Scope, place: Location) -> Node:
        parts = [self.evaluate(item, scope) for item in argument.items]
        for part in parts:
            if isinstance(part, Seq | Map):
                message = f"concat joins texts, {describe(part)} was given"
                return self._error(place, message, "bad-call")
        if any(isinstance(part, Pending) for part in parts):
            return Pending("concat", tuple(parts), place)
        length = sum(len(part.text) for part in parts if isinstance(part, Scalar))
        if length > MAX_TEXT:
            message = f"concat makes a text of {length} characters, at most {MAX_TEXT} are made"
            return self._error(place, message, "too-large")
        return text("".join(part.text for part in parts if isinstance(part, Scalar)), place)

    def _token(self, argument: Seq, scope: Scope, place: Location) -> Node:
        parts = [self.evaluate(item, scope) for item in argument.items]
        if any(isinstance(part, Pending) for part in parts):
            return Pending("token", tuple(parts), place)
        match parts:
            case [Scalar() as whole, Scalar() as separators, Scalar(value=int() as number)]:
                pieces = [whole.text]
                for separator in separators.text:
                    pieces = [part for piece in pieces for part in piece.split(separator)]
                if 0 <= number < len(pieces):
                    return text(pieces[number], place)
                message = f"token {number} of {whole.text!r}, which has {len(pieces)}"
                return self._error(place, message, "bad-call")
        return self._error(place, "token takes [text, separators, number]", "bad-call")

    def _get(self, function: str, argument: Seq, scope: Scope, place: Location) -> Node:
        """Evaluate get_property and get_attribute, which differ only in what they may name."""
        steps = argument.items
        if len(steps) < len(("entity", "name")) or not isinstance(steps[0], Scalar):
            message = f"{function} takes [node, name, ...]"
            return self._error(place, message, "bad-call", "e.g. [server, public_address, 0]")
        entity = steps[0].text
        if scope.requirement is not None and entity == "SELF":
            return self._of_relationship(scope, steps[1:], place)
        name = self._entity(entity, scope, steps[0].location)
        if name is None:
            return Pending("error", (), place)
        attribute = function == "get_attribute"
        if entity == "HOST":
            return self._of_hosts(name, steps, place, attribute=attribute)
        return self._of_node(name, steps[1:], place, attribute=attribute)

    def _entity(self, entity: str, scope: Scope, place: Location) -> str | None:
        """Give the node template that SELF, HOST, SOURCE, TARGET or a name stands for."""
        inside = scope.requirement is not None
        name: str | None = entity
        if entity in {"SELF", "HOST"} or (entity == "SOURCE" and inside):
            name = scope.node
        elif entity == "TARGET" and scope.requirement is not None:
            name = scope.requirement.target
        if name in self._template.nodes:
            return name
        if entity in {"SELF", "HOST", "SOURCE", "TARGET"}:
            if not (
                inside and entity == "TARGET"
            ):  # a wrong target was reported with its requirement
                self._error(place, f"{entity} means nothing at this place", "bad-call")
            return None
        remedy = nearest(entity, self._template.nodes)
        self._error(place, f"no node template is called {entity!r}", "unknown-node", remedy)
        return None

    def _of_hosts(
        self, name: str, steps: tuple[Node, ...], place: Location, *, attribute: bool
    ) -> Node:
        """Look along the chain of hosts for the first that has what is asked for."""
        wanted = steps[1].text if isinstance(steps[1], Scalar) else ""
        seen = {name}
        host = self.host_of(name)
        while host is not None and host not in seen and len(seen) < MAX_DEPTH:
            seen.add(host)
            if self._has(host, wanted, attribute=attribute):
                return self._of_node(host, steps[1:], place, attribute=attribute)
            host = self.host_of(host)
        message = f"no host of {name} has {wanted!r}"
        return self._error(place, message, "unknown-property")

    def host_of(self, name: str) -> str | None:
        """Give the node template that another one is hosted on."""
        node = self._template.nodes[name]
        targets = (use.target for use in node.requirements if use.name == "host")
        return next((target for target in targets if target in self._template.nodes), None)

    def _has(self, name: str, wanted: str, *, attribute: bool) -> bool:
        flat = self._catalogue.get("node", self._template.nodes[name].type)
        if flat is None:
            return False
        own = {**flat.properties, **flat.attributes} if attribute else flat.properties
        return wanted in own or wanted in flat.capabilities

    def _of_node(
        self, name: str, steps: tuple[Node, ...], place: Location, *, attribute: bool
    ) -> Node:
        """Find a property or attribute: the node's, a capability's, or across a requirement."""
        node = self._template.nodes[name]
        flat = self._catalogue.get("node", node.type)
        if flat is None:
            return Pending("error", (), place)
        first = steps[0]
        wanted = first.text if isinstance(first, Scalar) else ""
        if attribute and (schema := {**flat.properties, **flat.attributes}.get(wanted)):
            self._walker.along(schema, steps[1:], f"{name}.{wanted}", self._catalogue)
            return Pending("get_attribute", (text(name, place), *steps), place)
        if not attribute and wanted in flat.properties:
            value = self._property(node, flat, wanted)
            return self._walker.into(value, steps[1:], f"{name}.{wanted}", place)
        if wanted in flat.capabilities and steps[1:]:
            return self._of_capability(name, wanted, steps[1:], place, attribute=attribute)
        for use in node.requirements:
            if use.name == wanted and use.target in self._template.nodes and steps[1:]:
                return self._across(use, flat, steps[1:], place, attribute=attribute)
        if wanted in flat.requirements or (wanted in flat.capabilities and not steps[1:]):
            return Pending("get_property", (text(name, place), *steps), place)
        kind = "attribute" if attribute else "property"
        known = [*flat.properties, *flat.capabilities, *flat.requirements]
        remedy = nearest(wanted, [*known, *flat.attributes] if attribute else known)
        message = f"{name} ({node.type}) has no {kind} {wanted!r}"
        return self._error(first.location, message, f"unknown-{kind}", remedy)

    def _property(self, node: NodeTemplate, flat: TypeDef, wanted: str) -> Node:
        assigned = node.properties.get(wanted)
        default = flat.properties[wanted].default
        value = assigned[1] if assigned else default
        place = value.location if value else node.location
        return self._once((node.name, "", wanted), value, Scope(node.name), place)

    def _of_capability(
        self,
        name: str,
        capability: str,
        steps: tuple[Node, ...],
        place: Location,
        *,
        attribute: bool,
    ) -> Node:
        node = self._template.nodes[name]
        flat = self._catalogue.get("node", node.type)
        defined = flat.capabilities[capability] if flat else None
        if defined is None:
            return Pending("error", (), place)
        first = steps[0]
        wanted = first.text if isinstance(first, Scalar) else ""
        known = self._catalogue.capability_schemas(defined)
        if attribute:
            known = self._catalogue.capability_attributes(defined)
        if wanted not in known:
            message = f"capability {capability} of {name} has no {wanted!r}"
            return self._error(first.location, message, "unknown-property", nearest(wanted, known))
        if attribute:
            self._walker.along(known[wanted], steps[1:], f"{name}.{capability}", self._catalogue)
            arguments = (text(name, place), text(capability, place), *steps)
            return Pending("get_attribute", arguments, place)
        _, values = node.capabilities.get(capability, (place, {}))
        value = values[wanted][1] if wanted in values else known[wanted].default
        found = self._once((name, capability, wanted), value, Scope(name), place)
        return self._walker.into(found, steps[1:], f"{name}.{capability}.{wanted}", place)

    def _across(
        self,
        use: RequirementUse,
        flat: TypeDef,
        steps: tuple[Node, ...],
        place: Location,
        *,
        attribute: bool,
    ) -> Node:
        """Follow a requirement: to the capability it binds to, else to the target itself."""
        target = self._template.nodes[use.target or ""]
        there = self._catalogue.get("node", target.type)
        asked = flat.requirements.get(use.name)
        wanted = steps[0].text if isinstance(steps[0], Scalar) else ""
        for name, capability in (there.capabilities if there else {}).items():
            kind = asked.capability if asked else None
            binds = name == use.name or (
                kind is not None and self._catalogue.is_a("capability", capability.type, kind)
            )
            if binds and wanted in self._catalogue.capability_attributes(capability):
                return self._of_capability(target.name, name, steps, place, attribute=attribute)
        return self._of_node(target.name, steps, place, attribute=attribute)

    def _of_relationship(self, scope: Scope, steps: tuple[Node, ...], place: Location) -> Node:
        """Find a property of the relationship that an expression stands in."""
        use = scope.requirement
        wanted = steps[0].text if isinstance(steps[0], Scalar) else ""
        assigned = use.properties.get(wanted) if use and use.properties else None
        flat = self._catalogue.get("relationship", use.relationship or "") if use else None
        schema = flat.properties.get(wanted) if flat else None
        if assigned is None and schema is None:
            known = flat.properties if flat else ()
            message = f"the relationship has no property {wanted!r}"
            return self._error(place, message, "unknown-property", nearest(wanted, known))
        value = assigned or (schema.default if schema else None)
        key = (scope.node or "", f"{use.name if use else ''}@{id(use)}", wanted)
        found = self._once(key, value, scope, place)
        return self._walker.into(found, steps[1:], wanted, place)

    def _once(
        self, key: tuple[str, str, str], value: Node | None, scope: Scope, place: Location
    ) -> Node:
        """Evaluate a property once, and report properties that refer to each other in a circle."""
        if key in self._values:
            return self._values[key]
        if key in self._active:
            loop = [*self._active[self._active.index(key) :], key]
            shown = " -> ".join(".".join(part for part in one if part) for one in loop)
            return self._error(place, f"properties refer to each other: {shown}", "property-cycle")
        self._active.append(key)
        found = Scalar(None, "", place) if value is None else self.evaluate(value, scope)
        self._active.pop()
        self._values[key] = found
        return found
