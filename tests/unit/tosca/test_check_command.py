"""`python -m tosca check`: exit status, what it prints, how compositions are given."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tosca.cli import main

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "tosca_definitions_version: tosca_simple_yaml_1_0\n"
PARENT = f"""{HEAD}topology_template:
  inputs:
    size: {{type: integer, default: 1}}
  node_templates:
    server: {{type: Compute}}
"""
CHILD = f"""{HEAD}metadata: {{parents: [parent.yaml]}}
topology_template:
  outputs:
    address: {{value: {{get_attribute: [server, public_address]}}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with a parent, a fragment over it and a fragment that names no parent."""
    (tmp_path / "parent.yaml").write_text(PARENT, encoding="utf-8")
    (tmp_path / "child.yaml").write_text(CHILD, encoding="utf-8")
    orphan = CHILD.replace("metadata: {parents: [parent.yaml]}\n", "")
    (tmp_path / "orphan.yaml").write_text(orphan, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_runs_as_a_module(root: Path) -> None:
    template = "tosca/templates/federated_site.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "tosca", "check", template],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, f"{template}: accepted, 0 warnings\n", "") == (
        done.returncode,
        done.stdout,
        done.stderr,
    )


def test_our_templates_and_types_are_accepted_without_a_warning(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(path) for path in sorted((root / "tosca").glob("t*/*.yaml"))]
    assert main(["check", *files]) == 0
    verdicts = capsys.readouterr().out.splitlines()
    assert [f"{file}: accepted, 0 warnings" for file in files] == verdicts


def test_a_refused_file_gives_status_1_and_its_errors_with_places(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.yaml").write_text(PARENT.replace("Compute", "Computer"), encoding="utf-8")
    assert main(["check", "bad.yaml", "parent.yaml"]) == 1
    first, verdict, other = capsys.readouterr().out.splitlines()
    assert first.startswith("bad.yaml:6:14: unknown node type Computer; did you mean")
    assert first.endswith("[unknown-type]")
    assert verdict == "bad.yaml: refused, 1 error, 0 warnings"
    assert other == "parent.yaml: accepted, 0 warnings"


def test_a_fragment_is_laid_over_the_parents_it_names(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "child.yaml"]) == 0
    assert capsys.readouterr().out == "parent.yaml+child.yaml: accepted, 0 warnings\n"
    assert folder.is_dir()


@pytest.mark.usefixtures("folder")
def test_a_composition_can_be_given_with_plus(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "orphan.yaml"]) == 1
    assert "no node template is called 'server'" in capsys.readouterr().out
    assert main(["check", "parent.yaml+orphan.yaml"]) == 0


def test_a_parent_that_is_not_there_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "parent.yaml").unlink()
    assert main(["check", "child.yaml"]) == 1
    expected = "child.yaml:2:22: parent parent.yaml is not there; put it beside child.yaml"
    assert capsys.readouterr().out.startswith(expected)


@pytest.mark.usefixtures("folder")
def test_findings_can_be_had_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "orphan.yaml", "child.yaml"]) == 1
    refused, accepted = json.loads(capsys.readouterr().out)
    assert refused["errors"] == [
        {
            "file": "orphan.yaml",
            "line": 4,
            "column": 39,
            "message": "no node template is called 'server'",
            "remedy": "none is defined here",
            "code": "unknown-node",
        }
    ]
    assert accepted == {
        "name": "parent.yaml+child.yaml",
        "accepted": True,
        "errors": [],
        "warnings": [],
    }


def test_an_import_by_address_is_served_by_the_longest_prefix(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, parent in (("far", "tosca.nodes.Nothing"), ("near", "tosca.nodes.Compute")):
        (folder / name).mkdir()
        types = f"{HEAD}node_types:\n  example.Server: {{derived_from: {parent}}}\n"
        (folder / name / "types.yaml").write_text(types, encoding="utf-8")
    text = PARENT.replace("Compute", "example.Server")
    text = text.replace(
        "topology", "imports:\n  - mine: https://types.example.org/v1/types.yaml\ntopology"
    )
    (folder / "mapped.yaml").write_text(text, encoding="utf-8")
    assert main(["check", "mapped.yaml"]) == 1
    assert "--import-map https://types.example.org/v1/=DIR" in capsys.readouterr().out
    maps = ["https://types.example.org/=far", "https://types.example.org/v1/=near"]
    options = [option for one in maps for option in ("--import-map", one)]
    assert main(["check", *options, "mapped.yaml"]) == 0


def test_what_is_lenient_for_files_of_others_can_be_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = PARENT.replace("    size:", "    size: {type: string}\n    size:")
    (folder / "twice.yaml").write_text(twice, encoding="utf-8")
    assert main(["check", "twice.yaml"]) == 1
    assert main(["check", "--lenient", "twice.yaml"]) == 0
    assert "twice.yaml:5:5: warning: key 'size' is given twice" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["check"], ["chek", "x"], ["check", "--import-map", "x", "f"],
     ["check", "--import-map", "https://x/=missing", "f"]],
)  # fmt: skip
def test_wrong_usage_gives_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ")


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_not_there_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nowhere.yaml"]) == 1
    assert capsys.readouterr().out.startswith(
        "nowhere.yaml: nowhere.yaml cannot be read: No such file or directory"
    )
