"""Functions of the language: what they give, in which places, and what merging fragments does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from tosca.catalogue import Catalogue
from tosca.errors import Location, Problems
from tosca.functions import Evaluator, Scope
from tosca.nodes import Map, Node, Pending, Scalar, plain
from tosca.parse import parse
from tosca.resolve import resolve
from tosca.template import merge, read_template

if TYPE_CHECKING:
    from collections.abc import Callable

    from tosca.check import Result
    from tosca.nodes import Plain

TEMPLATE = """\
node_types:
  example.App:
    derived_from: tosca.nodes.SoftwareComponent
    properties:
      port: {type: integer, default: 80}
      address: {type: string, default: {concat: ['http://x:', {get_property: [SELF, port]}]}}
      users: {type: list, default: [{name: ana}, {name: bo}], entry_schema: {type: map}}
      cpus: {type: integer, required: false, default: {get_property: [HOST, host, num_cpus]}}
      memory: {type: string, required: false, default: {get_property: [SELF, host, mem_size]}}
    capabilities:
      queue: {type: tosca.capabilities.Scalable}
topology_template:
  inputs:
    cpus: {type: integer, default: 3}
    nested: {type: map, default: {a: [x, y]}}
    unset: {type: string}
  node_templates:
    server:
      type: Compute
      capabilities:
        host: {properties: {num_cpus: {get_input: [cpus]}, mem_size: 2 GB}}
    app:
      type: example.App
      properties: {port: 8080}
      requirements:
        - host: {node: server, relationship: HostedOn}
    above:
      type: example.App
      requirements: [{host: server}]
  outputs:
    value: {value: %s}
"""
CALLS: dict[str, Plain] = {
    "{get_input: cpus}": 3,
    "{get_input: [cpus]}": 3,
    "{get_input: [nested, a, 1]}": "y",
    "{get_input: unset}": {"get_input": ["unset"]},
    "{get_property: [app, port]}": 8080,
    "{get_property: [app, address]}": "http://x:8080",
    "{get_property: [above, address]}": "http://x:80",
    "{get_property: [app, users, 1, name]}": "bo",
    "{get_property: [app, cpus]}": 3,
    "{get_property: [app, memory]}": "2 GB",
    "{get_property: [app, queue, min_instances]}": 1,
    "{get_property: [app, host, num_cpus]}": 3,
    "{get_attribute: [server, public_address]}": {"get_attribute": ["server", "public_address"]},
    "{get_attribute: [server, host, num_cpus]}": {"get_attribute": ["server", "host", "num_cpus"]},
    "{concat: [a, {concat: [b, {get_input: cpus}]}, 1.50]}": "ab31.50",
    "{concat: [a, {get_attribute: [server, state]}]}": {
        "concat": ["a", {"get_attribute": ["server", "state"]}]
    },
    "{token: ['a:b.c', ':.', 2]}": "c",
    "{token: secret, user: ana}": {"token": "secret", "user": "ana"},
    "{token: secret}": {"token": "secret"},
    "[{get_input: cpus}, {deep: {get_input: cpus}}]": [3, {"deep": 3}],
}


def test_every_function_gives_what_the_specification_says(
    check_text: Callable[[str], Result],
) -> None:
    found = {}
    for call in CALLS:
        result = check_text(TEMPLATE % call)
        assert result.errors == (), call
        assert result.topology is not None
        found[call] = plain(result.topology.outputs["value"])
    assert found == CALLS


def test_nodes_are_ordered_after_what_they_require(check_text: Callable[[str], Result]) -> None:
    topology = check_text(TEMPLATE % "1").topology
    assert topology is not None
    assert topology.order == ("server", "app", "above")


def test_a_relationship_reads_its_source_its_target_and_itself(
    check_text: Callable[[str], Result],
) -> None:
    text = """\
topology_template:
  node_templates:
    disk: {type: BlockStorage, properties: {size: 1 GB}}
    server:
      type: Compute
      capabilities: {host: {properties: {num_cpus: 2}}}
      requirements:
        - local_storage:
            node: disk
            relationship:
              type: AttachesTo
              properties: {location: /data}
              interfaces:
                Configure:
                  pre_configure_source:
                    implementation: mount.sh
                    inputs:
                      ok: [{get_property: [SELF, location]}, {get_property: [TARGET, size]},
                           {get_property: [SOURCE, host, num_cpus]}]
                      bad: [{get_property: [TARGET, sizes]}, {get_property: [SELF, place]}]
"""
    errors = check_text(text).errors
    assert [(error.location.line, error.message) for error in errors] == [
        (21, "disk (BlockStorage) has no property 'sizes'"),
        (21, "the relationship has no property 'place'"),
    ]


def test_a_mistake_in_a_type_is_reported_where_the_type_is_used_only(
    check_text: Callable[[str], Result],
) -> None:
    types = """\
node_types:
  example.Broken:
    derived_from: tosca.nodes.Root
    interfaces:
      Standard:
        create: {implementation: x.sh, inputs: {a: {get_property: [SELF, nothing]}}}
topology_template:
  node_templates:
"""
    assert check_text(f"{types}    one: {{type: tosca.nodes.Root}}\n").errors == ()
    (error,) = check_text(f"{types}    one: {{type: example.Broken}}\n").errors
    assert (error.location.line, error.location.column) == (7, 74)


def test_the_input_of_a_wrong_type_is_reported_once(check_text: Callable[[str], Result]) -> None:
    (error,) = check_text(TEMPLATE.replace("default: 3", "default: three") % "1").errors
    assert error.message == "cpus: 'three' given, a whole number was expected"


def test_a_missing_input_is_an_error_only_when_the_template_is_used() -> None:
    text = "tosca_definitions_version: tosca_simple_yaml_1_0\n" + TEMPLATE % "1"
    problems = Problems()
    root = parse(text.encode(), "t.yaml", problems)
    assert root is not None
    template = read_template(root, problems)
    assert template is not None
    given_ = parse(b"cpus: 4\n", "site.yaml", problems)
    resolve(template, Catalogue({}), given_, problems)
    missing = [problem for problem in problems.errors if problem.code == "missing-input"]
    assert [str(problem.location) for problem in missing] == ["site.yaml:1:1"]


names = st.sampled_from(["a", "b", "c", "d"])
inputs = st.dictionaries(names, st.dictionaries(st.sampled_from(["x", "y", "z"]), st.integers()))
whole = st.dictionaries(names, st.dictionaries(names, st.integers(), max_size=2))
templates = st.fixed_dictionaries(
    {}, optional={"inputs": inputs, "node_templates": whole, "outputs": whole}
)


def _map(value: dict[str, Any]) -> Map:
    problems = Problems()
    root = parse(yaml.safe_dump({"topology_template": value}).encode(), "t.yaml", problems)
    assert root is not None
    return root


def _merged(below: Map, above: Map) -> Any:
    merged = plain(merge(below, above))
    assert isinstance(merged, dict)
    return merged["topology_template"]


@given(templates, templates)
def test_inputs_unite_by_key_and_everything_else_is_replaced_whole(
    below: dict[str, Any], above: dict[str, Any]
) -> None:
    expected = {key: dict(value) for key, value in below.items()}
    for name, one in above.get("inputs", {}).items():
        section = expected.setdefault("inputs", {})
        section[name] = {**section.get(name, {}), **one}
    for key in ("node_templates", "outputs"):
        if key in above:
            expected[key] = {**expected.get(key, {}), **above[key]}
    if "inputs" in above:
        expected.setdefault("inputs", {})
    assert expected == _merged(_map(below), _map(above))


@given(templates)
def test_a_fragment_laid_over_itself_changes_nothing(value: dict[str, Any]) -> None:
    assert value == _merged(_map(value), _map(value))


@given(templates, templates, templates)
def test_laying_fragments_over_each_other_is_associative(
    one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]
) -> None:
    first, second, third = _map(one), _map(two), _map(three)
    left = merge(merge(first, second), third)
    right = merge(first, merge(second, third))
    assert plain(left) == plain(right)


HERE = Location("t.yaml", 1, 1)
texts = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=8)
no_calls = texts.map("_{}".format)
values = st.recursive(
    texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(no_calls, inner, max_size=3)
)


def _node(value: Any) -> Node:
    problems = Problems()
    root = parse(yaml.safe_dump({"value": value}).encode(), "t.yaml", problems)
    assert root is not None
    return root.entries["value"]


def _evaluator(given_inputs: dict[str, Node]) -> Evaluator:
    problems = Problems()
    definitions = "".join(f"    {name}: {{type: any}}\n" for name in given_inputs)
    text = f"topology_template:\n  inputs:\n{definitions}"
    root = parse(text.encode(), "t.yaml", problems)
    template = read_template(root, problems) if root else None
    assert template is not None
    return Evaluator(template, Catalogue({}), given_inputs, problems)


@given(values)
def test_a_value_without_calls_evaluates_to_itself(value: Any) -> None:
    assert value == plain(_evaluator({}).evaluate(_node(value), Scope()))


@given(values)
def test_an_input_is_the_same_wherever_it_is_read(value: Any) -> None:
    call = _node([{"get_input": "one"}, {"k": {"get_input": ["one"]}}])
    found = plain(_evaluator({"one": _node(value)}).evaluate(call, Scope()))
    assert [value, {"k": value}] == found


@given(st.lists(texts, max_size=5))
def test_concat_joins_and_does_not_care_about_grouping(parts: list[str]) -> None:
    evaluator = _evaluator({})
    flat = evaluator.evaluate(_node({"concat": parts}), Scope())
    grouped = evaluator.evaluate(
        _node({"concat": [{"concat": parts[:2]}, {"concat": parts[2:]}]}), Scope()
    )
    assert isinstance(flat, Scalar)
    assert ["".join(parts)] * 2 == [flat.text, plain(grouped)]


@given(values)
def test_a_pending_part_makes_the_whole_text_pending(value: Any) -> None:
    pending = Pending("get_attribute", (), HERE)
    found = _evaluator({"one": pending, "two": _node(value)}).evaluate(
        _node({"concat": ["a", {"get_input": "one"}]}), Scope()
    )
    assert isinstance(found, Pending)
    assert found.function == "concat"
