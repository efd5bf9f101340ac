"""tools/setup.sh for a user who may not do what is needed, run for real."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "tools" / "setup.sh"


@pytest.fixture
def as_nobody(tmp_path):
    """Run setup as a user without any right, on a PATH with these programs only."""
    assert os.geteuid() == 0, "run the tests as root, or the machine's own user is tested instead"
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    programs = tmp_path / "bin"
    programs.mkdir(mode=0o755)
    script = tmp_path / "setup.sh"
    script.write_text(SETUP.read_text())

    def run(*names, python="/bin/true"):
        for name in ("id", "seq", "sleep", "mkdir", "chmod", "tail", "grep", *names):
            found = next(
                path for path in (Path("/usr/bin", name), Path("/usr/sbin", name)) if path.exists()
            )
            (programs / name).symlink_to(found)
        return subprocess.run(
            [
                "/usr/bin/setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "/bin/sh",
                script,
            ],
            env={"PATH": str(programs), "HOME": str(tmp_path), "PYTHON": python},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_a_missing_package_without_root_and_sudo_is_one_clear_error(as_nobody):
    done = as_nobody("apt-get", python="/bin/false")

    assert done.returncode == 1
    assert "installing" in done.stdout
    assert "python3-venv" in done.stdout
    assert "needs root, and there is no sudo" in done.stderr
    assert "remedy: run the command as root" in done.stderr


def test_a_machine_without_apt_is_told_what_is_missing(as_nobody):
    done = as_nobody(python="/bin/false")

    assert done.returncode == 1
    assert "error: setup: missing:" in done.stderr
    assert "not Debian or Ubuntu" in done.stderr


def test_a_user_who_may_not_use_docker_is_told_how_to(as_nobody):
    done = as_nobody(
        "docker",
        "dockerd",
        "debootstrap",
        "dpkg-query",
        "ssh-keygen",
        "setpriv",
        "iptables",
        "ip",
        "curl",
    )

    assert done.returncode == 1
    assert "Docker runs, but this user may not use it" in done.stderr
    assert "usermod -aG docker" in done.stderr
