"""The local machine image boots, lets its owner in and nobody else, and runs Docker."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IMAGE = "skerry-host:debian-12"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skerry"


def _run(*argv: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, check=False, capture_output=True, input=stdin, timeout=180)


@dataclass(frozen=True)
class Machine:
    """A running container of the image and the key that it lets in."""

    name: str
    address: str
    key: Path

    def inside(self, *argv: str, stdin: bytes | None = None) -> str:
        result = _run("docker", "exec", "-i", self.name, *argv, stdin=stdin)
        assert result.returncode == 0, (argv, result.stdout, result.stderr)
        return result.stdout.decode().strip()

    def ssh(self, command: str, *options: str, user: str = "skerry") -> tuple[int, str]:
        known = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
        argv = ["ssh", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", *known, *options]
        result = _run(*argv, f"{user}@{self.address}", command)
        return result.returncode, (result.stdout + result.stderr).decode().strip()


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Machine]]:
    """Give a function that boots a machine and waits until it is up."""
    if _run("docker", "image", "inspect", IMAGE).returncode != 0:
        pytest.fail(f"{IMAGE} is absent: run `python -m tools host-image`")
    key = tmp_path_factory.mktemp("ssh") / "key"
    assert _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)).returncode == 0
    names: list[str] = []

    def start() -> Machine:
        name = f"skerry-test-host-{uuid.uuid4().hex[:8]}"
        names.append(name)
        argv = ["docker", "run", "--detach", "--name", name, "--label", "skerry.federation=test"]
        argv += ["--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN"]
        argv += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
        argv += ["--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--volume", "/var/lib/docker"]
        argv += ["--tmpfs", "/run", "--tmpfs", "/tmp", "--stop-signal", "SIGRTMIN+3"]
        result = _run(*argv, IMAGE, "/sbin/init")
        assert result.returncode == 0, result.stderr
        address = _run("docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)
        machine = Machine(name, address.stdout.decode().strip(), key)
        script = "cat >/home/skerry/.ssh/authorized_keys"
        machine.inside("sh", "-c", script, stdin=key.with_suffix(".pub").read_bytes())
        _until_running(machine)
        return machine

    yield start
    for name in names:
        _run("docker", "rm", "--force", "--volumes", name)


def _until_running(machine: Machine) -> None:
    end = time.monotonic() + 60
    while True:
        state = _run("docker", "exec", machine.name, "systemctl", "is-system-running")
        if state.stdout.strip() == b"running":
            return
        assert time.monotonic() < end, machine.inside("systemctl", "--failed", "--no-pager")
        time.sleep(0.2)


@pytest.fixture(scope="module")
def machine(boot: Callable[[], Machine]) -> Machine:
    return boot()


def test_the_machine_boots_with_no_failed_unit(machine: Machine) -> None:
    assert machine.inside("systemctl", "is-system-running") == "running"
    assert machine.inside("systemctl", "--failed", "--quiet", "--no-legend") == ""


def test_the_key_lets_the_user_in_who_may_become_root(machine: Machine) -> None:
    assert machine.ssh("sudo -n id -u", "-i", str(machine.key)) == (0, "0")


@pytest.mark.parametrize("user", ["skerry", "root"])
def test_without_the_key_nobody_is_let_in_and_no_password_is_asked(
    machine: Machine, user: str
) -> None:
    code, said = machine.ssh("true", "-o", "IdentitiesOnly=yes", "-i", "/dev/null", user=user)

    assert code == 255
    assert "Permission denied (publickey)" in said


def test_no_account_has_a_usable_password(machine: Machine) -> None:
    hashes = machine.inside("sh", "-c", "cut -d: -f2 /etc/shadow")

    assert all(each.startswith(("!", "*")) for each in hashes.splitlines())


def test_two_machines_have_different_host_keys_and_ids(
    machine: Machine, boot: Callable[[], Machine]
) -> None:
    other = boot()

    for path in ("/etc/ssh/ssh_host_ed25519_key.pub", "/etc/machine-id"):
        assert machine.inside("cat", path).split()[:2] != other.inside("cat", path).split()[:2]


def test_docker_stays_off_until_it_is_asked_for_and_then_runs_a_job(
    machine: Machine,
) -> None:
    off = _run("docker", "exec", machine.name, "systemctl", "is-active", "docker", "containerd")
    assert off.stdout.split() == [b"inactive", b"inactive"]
    manifest = CACHE / "images" / "manifest.json"
    if not manifest.exists():
        pytest.fail("the demo's image is absent: run `python -m tools images`")
    archive = Path(json.loads(manifest.read_text())["skerry/hello:1"]["path"])

    machine.inside("systemctl", "start", "docker")
    machine.inside("docker", "load", stdin=archive.read_bytes())

    assert machine.inside("docker", "info", "--format", "{{.Driver}}") == "overlay2"
    run = ("docker", "run", "--rm", "--memory", "64m", "skerry/hello:1", "sh", "-c", "echo done")
    assert machine.inside(*run) == "done"


def test_a_job_in_the_machine_serves_the_page_to_others(machine: Machine) -> None:
    machine.inside("systemctl", "start", "docker")
    archive = Path(
        json.loads((CACHE / "images" / "manifest.json").read_text())["skerry/hello:1"]["path"]
    )
    machine.inside("docker", "load", stdin=archive.read_bytes())
    machine.inside("docker", "run", "--detach", "--publish", "8080:8080", "skerry/hello:1")

    page = _run("curl", "-sS", "--retry", "5", "--retry-connrefused", f"{machine.address}:8080/")

    assert b"Skerry" in page.stdout


def test_the_machines_trust_the_extra_certificates_of_this_one(machine: Machine) -> None:
    folder = Path(os.environ.get("SKERRY_EXTRA_CA_DIR") or "/usr/local/share/ca-certificates")
    bundle = machine.inside("cat", "/etc/ssl/certs/ca-certificates.crt")

    for path in folder.glob("*.crt"):
        assert path.read_text(encoding="ascii").strip() in bundle
