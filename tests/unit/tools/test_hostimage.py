"""The machine image's recipe: its digest, its mirror, and what is said when it cannot be made."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools import hostimage
from tools.errors import ToolsError
from tools.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    Program = Callable[[str, str], Path]

SOURCES = Path(hostimage.__file__).parent / "host-image"
NO_IMAGE = 'echo "Error: No such image: x" >&2; exit 1'


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the recipe that a test may change, with no certificates of the machine."""
    monkeypatch.setenv("SKERRY_EXTRA_CA_DIR", str(tmp_path / "certificates"))
    return shutil.copytree(SOURCES, tmp_path / "host-image")


def test_the_digest_stays_the_same_when_nothing_changed(sources: Path, tmp_path: Path) -> None:
    other = shutil.copytree(sources, tmp_path / "another-checkout")

    assert hostimage.load_recipe(sources).digest == hostimage.load_recipe(other).digest


@pytest.mark.parametrize(
    "name", ["recipe.yaml", "configure.sh", "files/etc/systemd/journald.conf.d/skerry.conf"]
)
def test_every_input_of_the_recipe_changes_its_digest(sources: Path, name: str) -> None:
    before = hostimage.load_recipe(sources).digest
    with (sources / name).open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")

    assert before != hostimage.load_recipe(sources).digest


def test_the_machines_extra_certificates_are_inputs(sources: Path, tmp_path: Path) -> None:
    before = hostimage.load_recipe(sources)
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates" / "site.crt").write_text("certificate", encoding="utf-8")

    after = hostimage.load_recipe(sources)

    assert before.digest != after.digest
    assert [path.name for path in after.certificates] == ["site.crt"]


def test_the_mirror_is_the_one_that_apt_uses_with_its_updates(program: Program) -> None:
    lines = [
        "http://mirror.invalid/debian-security bookworm-security main main/binary-amd64/Packages",
        "http://mirror.invalid/debian bookworm main main/dep11/Components-amd64.yml",
        "http://mirror.invalid/debian bookworm main main/binary-amd64/Packages",
        "http://vendor.invalid bookworm stable stable/binary-amd64/Packages",
        "http://vendor.invalid trixie main main/binary-amd64/Packages",
    ]
    program("apt-get", "cat <<'E'\n" + "\n".join(lines) + "\nE")

    found = hostimage.apt_sources("bookworm")

    assert found == [
        hostimage.AptSource("http://mirror.invalid/debian", "bookworm"),
        hostimage.AptSource("http://mirror.invalid/debian-security", "bookworm-security"),
    ]


def test_a_mirror_given_by_the_person_replaces_the_machines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SKERRY_DEBIAN_MIRROR", "http://mine.invalid/debian")

    found = hostimage.apt_sources("bookworm")

    assert found == [hostimage.AptSource("http://mine.invalid/debian", "bookworm")]


def test_the_proxy_of_the_apt_configuration_is_passed_on(program: Program) -> None:
    program("apt-config", "echo http://proxy.invalid:3128")

    assert hostimage.apt_proxy() == {"http_proxy": "http://proxy.invalid:3128"}


def test_an_image_of_the_same_recipe_is_left_alone(program: Program) -> None:
    program("docker", f"echo {hostimage.load_recipe().digest}")
    program("debootstrap", "exit 99")

    line = hostimage.make(Progress())

    assert line.startswith("skerry-host:debian-12 (recipe ")


def test_a_docker_that_does_not_answer_is_one_clear_line(program: Program) -> None:
    program("docker", 'echo "Cannot connect to the Docker daemon at x" >&2; exit 1')

    with pytest.raises(ToolsError, match=r"^host-image: look: Docker does not answer: Cannot"):
        hostimage.make(Progress())


def test_an_absent_docker_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolsError, match=r"'docker' is not on PATH\. Remedy: install docker\.io"):
        hostimage.make(Progress())


def test_an_absent_debootstrap_is_named_with_its_package(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = program("docker", NO_IMAGE)
    monkeypatch.setenv("PATH", f"{docker.parent}:/bin")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(hostimage.process.shutil, "which", _only(docker))

    with pytest.raises(ToolsError, match=r"'debootstrap' is not on PATH\. Remedy: apt-get install"):
        hostimage.make(Progress())


def _only(path: Path) -> Callable[[str], str | None]:
    return lambda name: str(path) if name == path.name else None


def test_a_person_without_root_is_told_so(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("docker", NO_IMAGE)
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(ToolsError, match=r"needs root\. Remedy: run it as root"):
        hostimage.make(Progress())


def test_a_mirror_out_of_reach_is_told_with_debootstraps_own_words(
    program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program("docker", NO_IMAGE)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    program("unshare", 'echo "E: Failed getting release file http://mirror.invalid"; exit 1')

    with pytest.raises(ToolsError) as caught:
        hostimage.make(Progress())

    assert caught.value.step == "bootstrap"
    assert "Failed getting release file http://mirror.invalid" in caught.value.problem
    assert "SKERRY_DEBIAN_MIRROR" in caught.value.remedy
    assert list((tmp_path / "cache/skerry/host-image").glob("work-*")) == []
