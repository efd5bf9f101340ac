"""Whatever is broken in a file, the answer is a list of places, never another exception."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tosca
from tosca.check import check_files

ROOT = Path(__file__).parents[3]
VALID = ROOT / "tests" / "fixtures" / "tosca" / "valid"
SOURCES = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in [
        *(ROOT / "tosca" / "templates").glob("*.yaml"),
        VALID / "everything.yaml",
    ]
}
SITE = yaml.safe_load((ROOT / "inventories" / "es" / "site.yaml").read_text(encoding="utf-8"))
_PATHS: list[Any] = [["SELF"], ["site", "kind", 0], "x", [[], "a"], ["HOST", "state"], {}]
ODD: list[Any] = [
    *(None, "", "x", "site", "SELF", 0, -1, 1.5, True, [], {}, [[]], [{}], {"a": 1}, [1, "a"]),
    {"get_input": "servers"},
    {"get_input": ["server_size", "mem_size"]},
    {"get_input": []},
    {"get_input": {}},
    {"get_input": None},
    *({call: path} for call in ("get_property", "get_attribute") for path in _PATHS),
    {"concat": []},
    {"concat": [1, [2]]},
    {"concat": None},
    {"concat": [{"get_input": "servers"}]},
    {"type": "Compute"},
    {"type": "skerry.nodes.Site"},
    {"type": []},
    {"type": 3},
    {"token": ["a", "b", 5]},
    {"node": "site", "relationship": {"type": 7}},
]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        return [path, *(place for key in keys for place in _places(value[key], (*path, key)))]
    return [path]


def _mutate(source: Any, draw: st.DataObject) -> Any:
    value = copy.deepcopy(source)
    for _ in range(draw.draw(st.integers(1, 3))):
        path = draw.draw(st.sampled_from(_places(value)[1:] or [()]))
        if not path:
            return value
        owner = value
        for key in path[:-1]:
            owner = owner[key]
        if draw.draw(st.booleans()):
            owner[path[-1]] = copy.deepcopy(draw.draw(st.sampled_from(ODD)))
        else:
            del owner[path[-1]]
    return value


@pytest.mark.parametrize("name", sorted(SOURCES))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(draw=st.data())
def test_a_broken_template_is_answered(name: str, draw: st.DataObject, tmp_path: Path) -> None:
    shutil.copytree(VALID, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "everything.yaml"
    path.write_text(yaml.safe_dump(_mutate(SOURCES[name], draw)), encoding="utf-8")
    for result in check_files((path,), {}):
        assert all(error.location.file.startswith(str(tmp_path)) for error in result.errors)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(draw=st.data())
def test_a_broken_site_file_is_answered(draw: st.DataObject, tmp_path: Path) -> None:
    federation = tosca.load_federation(ROOT / "inventories" / "federation.yaml")
    path = tmp_path / "es" / "site.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(_mutate(SITE, draw)), encoding="utf-8")
    try:
        site = tosca.compile_site(path.parent, federation)
    except tosca.ToscaError as error:
        files = {problem.location.file for problem in error.problems}
    else:
        files = {str(path)} if site.name == "es" else set()
    assert {str(path)} == files
