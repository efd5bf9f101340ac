"""A template for one set of inputs: every name looked up, every value checked and evaluated.

Pure: types and template come in read, problems go to a collector, and the topology comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tosca.errors import nearest
from tosca.functions import Evaluator, Scope
from tosca.nodes import Map, Node, Pending, Scalar
from tosca.relations import Relations
from tosca.values import Checker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tosca.catalogue import Catalogue
    from tosca.definitions import Operation, Schema, TypeDef
    from tosca.errors import Location, Problems
    from tosca.template import NodeTemplate, Template


@dataclass(frozen=True, slots=True)
class ResolvedNode:
    """A node template with its values; properties without a value and default are absent."""

    name: str
    type: str
    location: Location
    properties: Mapping[str, Node]
    capabilities: Mapping[str, Mapping[str, Node]]
    requirements: tuple[tuple[str, str], ...]
    """(requirement, node template) in the order of the template."""


@dataclass(frozen=True, slots=True)
class Topology:
    """What a template stands for."""

    nodes: Mapping[str, ResolvedNode]
    outputs: Mapping[str, Node]
    order: tuple[str, ...]
    """Node templates so that each comes after what it requires."""


def resolve(
    template: Template,
    catalogue: Catalogue,
    given: Map | None,
    problems: Problems,
    *,
    complete: bool = True,
) -> Topology:
    """Resolve a template; with `complete`, an input without a value is an error."""
    resolver = _Resolver(template, catalogue, problems)
    return resolver.run(given, complete=complete)


@dataclass(frozen=True, slots=True)
class _Owner:
    """Who has properties: its name in messages, its type, its place, and where values stand."""

    name: str
    type: str
    location: Location
    scope: Scope


class _Resolver:
    def __init__(self, template: Template, catalogue: Catalogue, problems: Problems) -> None:
        self._template = template
        self._catalogue = catalogue
        self._problems = problems
        self._checker = Checker(catalogue, problems)
        self._evaluator = Evaluator(template, catalogue, {}, problems)

    def run(self, given: Map | None, *, complete: bool) -> Topology:
        inputs = self._inputs(given, complete=complete)
        self._evaluator = Evaluator(self._template, self._catalogue, inputs, self._problems)
        relations = Relations(self._template, self._catalogue, self._problems)
        nodes = {node.name: self._node(node, relations) for node in self._template.nodes.values()}
        order = relations.order()
        outputs = {}
        for name, (place, value) in self._template.outputs.items():
            if value is None:
                self._problems.error(place, f"output {name} has no value", "add `value:`", "shape")
            else:
                outputs[name] = self._evaluator.evaluate(value, Scope())
        self._policies()
        return Topology(nodes, outputs, order)

    def _inputs(self, given: Map | None, *, complete: bool) -> dict[str, Node]:
        """Check the values given, fill in defaults, report inputs that stay without a value."""
        defined = self._template.inputs
        values: dict[str, Node] = {}
        for name, place in given.keys.items() if given else ():
            if name not in defined:
                message = f"no input is called {name!r}"
                self._problems.error(place, message, nearest(name, defined), "unknown-input")
        for name, schema in defined.items():
            self._catalogue.check_schema(name, schema, self._problems)
            value = given.get(name) if given else None
            value = schema.default if value is None else value
            if value is not None:
                before = self._problems.mark()
                checked = self._checker.conform(value, schema, name)
                # A wrong value is reported once, here, and not again wherever the input is used.
                wrong = self._problems.errors_since(before)
                values[name] = Pending("get_input", (), value.location) if wrong else checked
            elif complete and schema.required:
                where = given.location if given else schema.location
                message = f"input {name} has no value and no default"
                remedy = f"add `{name}:` ({schema.description or schema.type})"
                self._problems.error(where, message, remedy, "missing-input")
        return values

    def _node(self, node: NodeTemplate, relations: Relations) -> ResolvedNode:
        flat = self._catalogue.get("node", node.type)
        if flat is None:
            message = f"unknown node type {node.type}"
            remedy = nearest(node.type, self._catalogue.names("node"))
            self._problems.error(node.type_location, message, remedy, "unknown-type")
            return ResolvedNode(node.name, node.type, node.location, {}, {}, ())
        owner = _Owner(node.name, flat.name, node.location, Scope(node.name))
        properties = self._properties(owner, node.properties, flat.properties)
        for name, (place, _) in node.attributes.items():
            if name not in flat.attributes and name not in flat.properties:
                message = f"{flat.name} has no attribute {name!r}"
                remedy = nearest(name, flat.attributes)
                self._problems.error(place, message, remedy, "unknown-attribute")
        capabilities = self._capabilities(node, flat)
        requirements = relations.of(node, flat)
        self._operations(node, flat)
        for name, artifact in node.artifacts.items():
            if artifact.type and self._catalogue.full_name("artifact", artifact.type) is None:
                message = f"artifact {name} has the unknown type {artifact.type}"
                remedy = nearest(artifact.type, self._catalogue.names("artifact"))
                self._problems.error(artifact.location, message, remedy, "unknown-type")
        return ResolvedNode(
            node.name, flat.name, node.location, properties, capabilities, requirements
        )

    def _properties(
        self,
        owner: _Owner,
        assigned: Mapping[str, tuple[Location, Node]],
        schemas: Mapping[str, Schema],
    ) -> dict[str, Node]:
        """Check assigned values, fill in defaults, report what is missing."""
        values: dict[str, Node] = {}
        for name, (where, expression) in assigned.items():
            schema = schemas.get(name)
            value = self._evaluator.evaluate(expression, owner.scope)
            if schema is None:
                message = f"{owner.name}: {owner.type} has no property {name!r}"
                self._problems.error(where, message, nearest(name, schemas), "unknown-property")
            elif not (isinstance(value, Scalar) and value.value is None):
                what = f"{owner.name}.{name}"
                values[name] = self._checker.conform(value, schema, what, used=expression.location)
        for name, schema in schemas.items():
            if name in values:
                continue
            if schema.default is not None:
                value = self._evaluator.evaluate(schema.default, owner.scope)
                values[name] = self._checker.conform(value, schema, f"{owner.name}.{name}")
            elif schema.required:
                message = f"{owner.name} lacks {name}, which {owner.type} requires"
                self._problems.error(owner.location, message, f"add `{name}:`", "missing-property")
        return values

    def _capabilities(self, node: NodeTemplate, flat: TypeDef) -> dict[str, dict[str, Node]]:
        for name, (place, _) in node.capabilities.items():
            if name not in flat.capabilities:
                message = f"{node.name}: {flat.name} has no capability {name!r}"
                remedy = nearest(name, flat.capabilities)
                self._problems.error(place, message, remedy, "unknown-capability")
        resolved = {}
        for name, capability in flat.capabilities.items():
            place, values = node.capabilities.get(name, (node.location, {}))
            owner = _Owner(f"{node.name}.{name}", capability.type, place, Scope(node.name))
            schemas = self._catalogue.capability_schemas(capability)
            resolved[name] = self._properties(owner, values, schemas)
        return resolved

    def _operations(self, node: NodeTemplate, flat: TypeDef) -> None:
        """Evaluate the inputs of every operation, those a type brings along included."""
        for name, operations in node.interfaces.items():
            self._interface(name, operations, flat)
        for scope, interfaces in self._interfaces(node, flat):
            for operations in interfaces.values():
                for operation in operations.values():
                    for value in operation.inputs.values():
                        self._evaluator.evaluate(value, scope)

    def _interfaces(
        self, node: NodeTemplate, flat: TypeDef
    ) -> list[tuple[Scope, Mapping[str, Mapping[str, Operation]]]]:
        found = [(Scope(node.name), flat.interfaces), (Scope(node.name), node.interfaces)]
        for use in node.requirements:
            scope = Scope(node.name, use)
            relationship = self._catalogue.get("relationship", use.relationship or "")
            if relationship is not None:
                found.append((scope, relationship.interfaces))
            if use.interfaces:
                found.append((scope, use.interfaces))
        return found

    def _interface(self, name: str, operations: Mapping[str, Operation], flat: TypeDef) -> None:
        interface = self._catalogue.get("interface", name)
        declared = flat.interfaces.get(name)
        if interface is None and declared is None:
            places = [operation.location for operation in operations.values()]
            where = places[0] if places else flat.location
            message = f"{flat.name} has no interface {name!r}"
            remedy = nearest(name, [*flat.interfaces, "Standard", "Configure"])
            self._problems.error(where, message, remedy, "unknown-interface")
            return
        known = {*(declared or ()), *(interface.interfaces.get("", ()) if interface else ())}
        for verb, operation in operations.items():
            if known and verb not in known:
                message = f"interface {name} has no operation {verb!r}"
                remedy = nearest(verb, known)
                self._problems.error(operation.location, message, remedy, "unknown-operation")

    def _policies(self) -> None:
        targets = {*self._template.nodes, *self._template.groups}
        for policy in self._template.policies:
            flat = self._catalogue.get("policy", policy.type)
            if flat is None:
                message = f"unknown policy type {policy.type}"
                remedy = nearest(policy.type, self._catalogue.names("policy"))
                self._problems.error(policy.location, message, remedy, "unknown-type")
                continue
            owner = _Owner(policy.name, flat.name, policy.location, Scope())
            self._properties(owner, policy.properties, flat.properties)
            self._named(policy.targets, targets, f"policy {policy.name}")
        for name, (_, members) in self._template.groups.items():
            self._named(members, set(self._template.nodes), f"group {name}")

    def _named(self, names: tuple[Scalar, ...], known: set[str], owner: str) -> None:
        for name in names:
            if name.text not in known:
                message = f"{owner} is for {name.text!r}, which is not there"
                self._problems.error(
                    name.location, message, nearest(name.text, known), "unknown-node"
                )
