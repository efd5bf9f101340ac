"""The real engines in the cache run and are what versions.yaml pins."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skerry"
ENGINES = ("pulumi", "nomad", "consul", "vault", "traefik")


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    path = CACHE / "tools" / "manifest.json"
    if not path.exists():
        pytest.fail("there are no engines in the cache: run `make tools`")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("name", ENGINES)
def test_the_engine_runs_in_the_pinned_version_with_the_digest_of_the_manifest(
    manifest: dict[str, Any], name: str
) -> None:
    versions = yaml.safe_load((CHECKOUT / "tools" / "versions.yaml").read_text(encoding="utf-8"))
    entry = manifest[name]

    printed = subprocess.run(
        [entry["path"], "version"], check=True, capture_output=True, text=True
    ).stdout

    assert entry["version"] == versions["tools"][name]["version"]
    assert entry["version"] in printed
    assert entry["sha256"] == hashlib.sha256(Path(entry["path"]).read_bytes()).hexdigest()


def test_pulumi_runs_a_python_program_with_a_dynamic_resource(
    manifest: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: proof\nruntime: python\n", encoding="utf-8")
    (tmp_path / "__main__.py").write_text(
        "import pulumi\n"
        "from pulumi.dynamic import CreateResult, Resource, ResourceProvider\n"
        "class Maker(ResourceProvider):\n"
        "    def create(self, props):\n"
        "        return CreateResult('id', props)\n"
        "class Thing(Resource):\n"
        "    def __init__(self):\n"
        "        super().__init__(Maker(), 'thing', {'size': 1})\n"
        "Thing()\n",
        encoding="utf-8",
    )
    (tmp_path / "state").mkdir()
    pulumi = manifest["pulumi"]["path"]
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{Path(pulumi).parent}:{os.environ['PATH']}",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "proof",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }

    for command in (
        ["stack", "init", "proof"],
        ["up", "--yes", "--skip-preview"],
        ["preview", "--expect-no-changes"],
        ["destroy", "--yes", "--skip-preview"],
    ):
        run = subprocess.run(
            [pulumi, *command, "--non-interactive"],
            check=False,
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, f"{command}: {run.stdout}{run.stderr}"


def test_the_pinned_go_of_the_wheel_builds_on_a_machine_without_go(tmp_path: Path) -> None:
    """Everything is fetched and built for real; only the module comes from a folder."""
    checkout = tmp_path / "checkout"
    _small_module(checkout, tmp_path / "proxy")
    env = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "GOPROXY": f"file://{tmp_path / 'proxy'}",
        "GOFLAGS": "-modcacherw",
        "GOENV": "off",
        "GOMODCACHE": str(tmp_path / "modules"),
        **{name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))},
    }
    argv = [sys.executable, "-m", "tools", "--versions", str(checkout / "versions.yaml")]
    began = time.monotonic()
    run = subprocess.run(argv, check=False, cwd=CHECKOUT, env=env, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
    assert "go: " in run.stderr
    assert run.stdout.startswith("small 1.2.3 (build): ")
    assert time.monotonic() - began < 600


def _small_module(checkout: Path, proxy: Path) -> None:
    go = yaml.safe_load((CHECKOUT / "tools" / "versions.yaml").read_text(encoding="utf-8"))["go"]
    tool = {
        "version": "1.2.3",
        "files": ["small"],
        "build": [
            {
                "output": "small",
                "pins": "small",
                "package": "example.invalid/small",
                "disk_mib": 500,
            }
        ],
    }
    pins = checkout / "pins" / "small"
    pins.mkdir(parents=True)
    content = yaml.safe_dump({"tools": {"small": tool}, "go": go})
    (checkout / "versions.yaml").write_text(content, encoding="utf-8")
    (pins / "go.mod").write_text(
        "module skerry.invalid/tools/small\n\ngo 1.25.8\n\n"
        "require example.invalid/small v1.2.3\n\n"
        f"replace example.invalid/small => {proxy / 'small'}\n",
        encoding="utf-8",
    )
    (pins / "go.sum").write_text("", encoding="utf-8")
    (proxy / "small").mkdir(parents=True)
    (proxy / "small" / "go.mod").write_text("module example.invalid/small\n\ngo 1.21\n")
    (proxy / "small" / "main.go").write_text(
        'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("Small v1.2.3\\n") }\n'
    )
