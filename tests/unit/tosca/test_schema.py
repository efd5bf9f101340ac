"""The JSON Schemas: as committed, and saying the same as the compiler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tosca.schema import SCHEMAS, main, schemas

ROOT = Path(__file__).parents[3]
SITES = [
    # By name: a site that joined the demo has its file there too.
    *(ROOT / "inventories" / name / "site.yaml" for name in ("control", "es", "pt", "sk")),
    ROOT / "tests/fixtures/sites/pl/site.yaml",
]


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _validator(name: str) -> jsonschema.Draft202012Validator:
    body = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(body)
    return jsonschema.Draft202012Validator(body)


def test_the_committed_schemas_are_those_of_the_models() -> None:
    assert main(["--check"]) == 0


def test_a_schema_out_of_date_is_noticed_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tosca.schema.SCHEMAS", tmp_path)
    (tmp_path / "site.schema.json").write_text("{}\n", encoding="utf-8")
    assert main(["--check"]) == 1
    assert "schemas/site.schema.json is out of date: run" in capsys.readouterr().err
    assert (main([]), main(["--check"])) == (0, 0)
    assert {path.name for path in tmp_path.iterdir()} == set(schemas())


@pytest.mark.parametrize("path", SITES, ids=[path.parent.name for path in SITES])
def test_a_committed_site_is_valid(path: Path) -> None:
    _validator("site.schema.json").validate(_load(path))


def test_the_committed_federation_is_valid() -> None:
    _validator("federation.schema.json").validate(_load(ROOT / "inventories/federation.yaml"))


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"name": "No"},
        {"template": "other"},
        {"provider": {}},
        {"provider": {"kind": "static"}},
        {"inputs": {"private_cidr": "10.0.0.0/24"}},
        {"inputs": {"private_cidr": "10.0.0.0/24", "wide_area_cidr": "10.1.0.0/28", "servers": 2}},
        {"inputs": {"private_cidr": "10.0.0.0/24", "wide_area_cidr": "ten"}},
    ],
)
def test_a_wrong_site_is_not_valid(change: dict[str, Any]) -> None:
    site = _load(ROOT / "inventories" / "es" / "site.yaml")
    assert not _validator("site.schema.json").is_valid({**site, **change})


def test_a_site_is_described_with_at_most_twelve_inputs() -> None:
    most = 12
    for branch in schemas()["site.schema.json"]["allOf"]:
        assert len(branch["then"]["properties"]["inputs"]["properties"]) <= most
