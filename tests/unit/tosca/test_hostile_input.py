"""Input made to break the reader: it ends in bounded time with an error that has a place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tosca.check import check_files
from tosca.errors import MAX_PROBLEMS, Problems
from tosca.parse import MAX_BYTES, MAX_DEPTH, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tosca.check import Result

HEAD = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
MOST_SECONDS = 20
"""Far above what any case takes (the slowest: under 2 s), far below a hang."""


def _laughs() -> bytes:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for letter, before in zip("bcdefghi", "abcdefgh", strict=True):
        lines.append(f"{letter}: &{letter} [{', '.join([f'*{before}'] * 9)}]")
    return "\n".join(lines).encode()


CASES = {
    "nothing": (b"", "1:1", "the file is empty, a map was expected"),
    "only a comment": (b"# nothing\n", "1:1", "the file is empty"),
    "a list at the top": (b"- a: 1\n", "1:1", "a list stands at the top, a map was expected"),
    "a single value at the top": (b"text\n", "1:1", "a single value stands at the top"),
    "two documents": (b"a: 1\n---\nb: 2\n", "2:1", "a second document, one was expected"),
    "a NUL byte": (b"a: 1\nb: \x00\n", "2:4", "a NUL byte, text was expected"),
    "a control character": (b"a: \x07\n", "1:1", "control characters are not allowed"),
    "UTF-16": ("a: 1".encode("utf-16"), "", "the file is UTF-16"),
    "Latin-1": (b"a: 1\nb: \xe9\n", "2:4", "not UTF-8: byte 0xe9"),
    "a lone surrogate": (b'a: "\\ud800"\n', "1:7", "invalid Unicode character"),
    "a surrogate in UTF-8": (b"a: \xed\xa0\x80\n", "1:4", "not UTF-8"),
    "billion laughs": (_laughs(), "5:4", "stands for more than 200000 values"),
    "an alias inside its anchor": (b"a: &x [*x]\n", "1:8", "stands inside its own anchor"),
    "an alias of nothing": (b"a: *x\n", "1:4", "has no anchor before it"),
    "a million values": (b"a: [" + b"1," * 1_000_000 + b"]", "1:400003", "more than 200000"),
    "20,000 lists deep": (b"a: " + b"[" * 20_000, "1:67", f"deeper than {MAX_DEPTH} levels"),
    "20,000 maps deep": (b"a: " + b"{a: " * 20_000, "1:256", f"deeper than {MAX_DEPTH} levels"),
    "an object to construct": (
        b"a: !!python/object/apply:os.system [ls]\n",
        "1:4",
        "python/object/apply:os.system is not accepted",
    ),
    "a tag on a value": (b"a: !secret x\n", "1:4", "tag !secret is not accepted"),
    "a merge key": (b"a: &a {b: 1}\nc:\n  <<: *a\n", "3:3", "merge keys (<<)"),
    "a key that is a list": (b"? [a]\n: 1\n", "1:3", "a key must be a text"),
    "too many bytes": (b"a: " + b"x" * MAX_BYTES, "", f"at most {MAX_BYTES} are read"),
    "a quote never closed": (b'a: "b\nc: 1\n', "3:1", "unexpected end of stream"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_hostile_file_is_refused_at_its_place(case: tuple[bytes, str, str]) -> None:
    data, place, message = case
    problems = Problems()
    start = time.process_time()
    parse(data, "bad.yaml", problems)
    assert time.process_time() - start < MOST_SECONDS
    (error, *_) = problems.errors
    assert ":".join(filter(None, ["bad.yaml", place])) == str(error.location)
    assert message in error.message


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    problems = Problems()
    root = parse(b"\xef\xbb\xbfa: 1\n", "t.yaml", problems)
    assert root is not None
    assert (list(root.entries), problems.found) == (["a"], [])


def test_duplicate_keys_of_others_are_warnings_and_the_last_one_counts() -> None:
    problems = Problems(lenient_files={"types.yaml"})
    root = parse(b"a: 1\na: 2\n", "types.yaml", problems)
    assert root is not None
    assert (problems.errors, len(problems.warnings), root.entries["a"].text) == ([], 1, "2")  # type: ignore[union-attr]


def test_every_error_of_a_file_comes_in_one_go() -> None:
    problems = Problems()
    parse(b"a: 1\na: 2\nb: {c: 1, c: 2}\n? [x]\n: 1\n", "t.yaml", problems)
    assert sorted(problem.location.line for problem in problems.errors) == [2, 3, 4]


DOUBLING = {
    "texts": ("string", "{{concat: [{before}, {before}]}}"),
    "maps": ("example.Tree", "{{kids: [{before}, {before}]}}"),
}


@pytest.mark.parametrize("kind", DOUBLING)
def test_properties_that_double_each_other_stop_at_a_limit(
    kind: str, check_text: Callable[[str], Result]
) -> None:
    type_name, form = DOUBLING[kind]
    first = "x" if kind == "texts" else "{}"
    lines = [f"      p0: {{type: {type_name}, default: {first}}}"]
    for number in range(1, 40):
        value = form.format(before=f"{{get_property: [SELF, p{number - 1}]}}")
        lines.append(f"      p{number}: {{type: {type_name}, default: {value}}}")
    text = """\
data_types:
  example.Tree:
    properties:
      kids: {type: list, required: false, entry_schema: {type: example.Tree}}
node_types:
  example.Double:
    derived_from: tosca.nodes.Root
    properties:
"""
    text += "\n".join(lines)
    text += "\ntopology_template:\n  node_templates:\n    one: {type: example.Double}\n"
    start = time.process_time()
    result = check_text(text)
    assert time.process_time() - start < MOST_SECONDS
    assert {"too-large"} == {error.code for error in result.errors}


def test_a_file_with_nothing_right_stops_at_a_thousand_problems(
    check_text: Callable[[str], Result],
) -> None:
    inputs = "\n".join(f"    n{number}: {{type: string}}" for number in range(5000))
    outputs = "\n".join(f"    m{n}: {{value: {{get_input: m{n}}}}}" for n in range(5000))
    start = time.process_time()
    result = check_text(f"topology_template:\n  inputs:\n{inputs}\n  outputs:\n{outputs}\n")
    assert time.process_time() - start < MOST_SECONDS
    assert len(result.errors) == MAX_PROBLEMS + 1
    assert "too-many" in {error.code for error in result.errors}


def test_a_chain_of_ten_thousand_references_ends_with_an_error(
    check_text: Callable[[str], Result],
) -> None:
    chain = "\n".join(
        f"      p{number}: {{type: string, default: {{get_property: [SELF, p{number + 1}]}}}}"
        for number in range(10_000)
    )
    text = "node_types:\n  example.Long:\n    derived_from: tosca.nodes.Root\n    properties:\n"
    text += chain
    text += "\ntopology_template:\n  node_templates:\n    one: {type: example.Long}\n"
    codes = {error.code for error in check_text(text).errors}
    assert "too-large" in codes


def test_a_chain_of_five_thousand_requirements_is_followed(
    check_text: Callable[[str], Result],
) -> None:
    nodes = "\n".join(
        f"    n{number}: {{type: tosca.nodes.Root, requirements: [{{dependency: n{number + 1}}}]}}"
        for number in range(5000)
    )
    text = (
        f"topology_template:\n  node_templates:\n{nodes}\n    n5000: {{type: tosca.nodes.Root}}\n"
    )
    result = check_text(text)
    assert result.errors == ()
    assert result.topology is not None
    assert (result.topology.order[0], result.topology.order[-1]) == ("n5000", "n0")


def test_a_type_that_derives_over_ten_thousand_others_is_refused(
    check_text: Callable[[str], Result],
) -> None:
    types = "\n".join(
        f"  example.T{number}: {{derived_from: example.T{number + 1}}}" for number in range(10_000)
    )
    text = f"node_types:\n{types}\n  example.T10000: {{derived_from: tosca.nodes.Compute}}\n"
    start = time.process_time()
    result = check_text(text)
    assert time.process_time() - start < MOST_SECONDS
    assert "too-deep" in {error.code for error in result.errors}


def test_an_import_may_not_leave_its_folder_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(HEAD, encoding="utf-8")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    template = inside / "template.yaml"
    template.write_text(f"{HEAD}imports: [link.yaml]\ntopology_template: {{}}\n", "utf-8")
    (result,) = check_files((template,), {})
    assert [error.code for error in result.errors] == ["import-outside"]


@pytest.mark.parametrize("rest", ["../outside.yaml", "/etc/hostname", "a/../../outside.yaml"])
def test_a_mapped_import_may_not_leave_the_mapped_folder(tmp_path: Path, rest: str) -> None:
    (tmp_path / "outside.yaml").write_text(HEAD, encoding="utf-8")
    (tmp_path / "types").mkdir()
    template = tmp_path / "template.yaml"
    address = f"https://types.example.org/{rest}"
    template.write_text(f"{HEAD}imports: ['{address}']\ntopology_template: {{}}\n", "utf-8")
    (result,) = check_files((template,), {"https://types.example.org/": tmp_path / "types"})
    assert {"import-outside", "unreadable"} >= {error.code for error in result.errors}
    assert result.errors


def test_files_that_import_each_other_are_named(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        text = f"{HEAD}imports: [{other}.yaml]\nnode_types: {{}}\n"
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    (result,) = check_files((tmp_path / "a.yaml",), {})
    (error,) = result.errors
    assert error.message == "files import each other: a.yaml -> b.yaml -> a.yaml"
    assert f"{tmp_path / 'b.yaml'}:2:11" == str(error.location)


def test_parents_that_name_each_other_are_refused(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        text = f"{HEAD}metadata: {{parents: [{other}.yaml]}}\ntopology_template: {{}}\n"
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    (result,) = check_files((tmp_path / "a.yaml",), {})
    assert [error.code for error in result.errors] == ["parent-cycle"]


def test_a_parent_outside_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"{HEAD}metadata: {{parents: [../x.yaml]}}\ntopology_template: {{}}\n", "utf-8")
    (result,) = check_files((path,), {})
    assert [error.code for error in result.errors] == ["parent"]
