"""The local machine image: a Debian tree made with debootstrap, given to Docker as one layer.

The image is named after its recipe's digest (label `skerry.recipe`), so a run with nothing to
change only asks Docker. Which packages and settings: host-image/. The Debian mirror is the one
that this machine's apt uses.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tools import cache, process
from tools.errors import ToolsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tools.progress import Progress

NAME = "host-image"
RECIPE_LABEL = "skerry.recipe"
_SOURCES = Path(__file__).parent / "host-image"
_DEFAULT_CA_DIR = "/usr/local/share/ca-certificates"
_NEED_BYTES = 4 << 30


@dataclass(frozen=True)
class Recipe:
    """What goes into the image; `digest` changes exactly when one of the inputs does."""

    image: str
    suite: str
    architecture: str
    keyring: str
    packages: tuple[str, ...]
    disabled: tuple[str, ...]
    enabled: tuple[str, ...]
    masked: tuple[str, ...]
    removed: tuple[str, ...]
    sources: Path
    certificates: tuple[Path, ...]
    digest: str


def load_recipe(sources: Path = _SOURCES) -> Recipe:
    """Read host-image/ and the extra CA certificates of $SKERRY_EXTRA_CA_DIR."""
    ca_dir = Path(os.environ.get("SKERRY_EXTRA_CA_DIR") or _DEFAULT_CA_DIR)
    certificates = tuple(sorted(ca_dir.glob("*.crt"))) if ca_dir.is_dir() else ()
    digest = hashlib.sha256()
    inputs = sorted(path for path in sources.rglob("*") if path.is_file() and path.suffix != ".md")
    for path in (*inputs, *certificates):
        name = path.name if path in certificates else path.relative_to(sources).as_posix()
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    raw: dict[str, Any] = yaml.safe_load((sources / "recipe.yaml").read_text(encoding="utf-8"))
    return Recipe(
        image=raw["image"],
        suite=raw["suite"],
        architecture=raw["architecture"],
        keyring=raw["keyring"],
        packages=tuple(raw["packages"]),
        disabled=tuple(raw["disabled"]),
        enabled=tuple(raw["enabled"]),
        masked=tuple(raw["masked"]),
        removed=tuple(raw["removed"]),
        sources=sources,
        certificates=certificates,
        digest=digest.hexdigest(),
    )


@dataclass(frozen=True)
class AptSource:
    """One suite that the machine's apt takes Debian's own packages from."""

    site: str
    suite: str


def apt_sources(suite: str) -> list[AptSource]:
    """Return the machine's sources for `suite` and its updates, the suite itself first.

    $SKERRY_DEBIAN_MIRROR replaces them, for machines whose own system is not this Debian. With
    neither, the list is empty and debootstrap uses the mirror that its own script names.
    """
    mirror = os.environ.get("SKERRY_DEBIAN_MIRROR")
    if mirror:
        return [AptSource(mirror, suite)]
    wanted = [suite, f"{suite}-updates", f"{suite}-security"]
    argv = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT) $(METAKEY)"]
    try:
        lines = process.capture(argv).stdout.splitlines()
    except OSError:
        lines = []  # no apt here: the machine is not of the Debian family
    found: dict[str, AptSource] = {}
    for line in lines:
        site, _, rest = line.partition(" ")
        release, _, target = rest.partition(" ")
        if release in wanted and target.startswith("main main/binary-"):
            found.setdefault(release, AptSource(site, release))
    return [found[name] for name in wanted if name in found]


def apt_proxy() -> dict[str, str]:
    """Return the proxy of the machine's apt configuration in the form other programs read."""
    try:
        argv = ["apt-config", "dump", "--no-empty", "--format", "%v", "Acquire::http::Proxy"]
        proxy = process.capture(argv).stdout.strip()
    except OSError:
        return {}
    return {"http_proxy": proxy} if proxy else {}


class Builder:
    """Makes the tree of one recipe in a work directory and imports it."""

    def __init__(self, recipe: Recipe, home: Path, work: Path, progress: Progress) -> None:
        self._recipe = recipe
        self._home = home
        self._tree = work / "tree"
        self._archive = work / "tree.tar"
        self._progress = progress
        self._log = home / "build.log"
        self._debs = home / "debs"

    def build(self) -> None:
        """Run all steps; each says its name first."""
        self._log.unlink(missing_ok=True)
        self._tree.mkdir()
        steps: list[tuple[str, Callable[[], None]]] = [
            ("bootstrap the base system", self._bootstrap),
            ("install the packages", self._packages),
            ("write the settings", self._settings),
            ("pack the tree", self._pack),
            ("import into Docker", self._import),
        ]
        for index, (name, step) in enumerate(steps, 1):
            self._progress.position(index, len(steps))
            with self._progress.step(NAME, name), cache.disk_errors(NAME, name, self._home):
                step()

    def _run(self, step: str, argv: Sequence[str], remedy: str, prefix: str = "") -> None:
        def watch(line: str) -> str | None:
            return line[len(prefix) :].strip() if line.startswith(prefix) else None

        process.run(
            NAME,
            step,
            argv,
            progress=self._progress,
            log=self._log,
            remedy=remedy,
            watch=watch,
            env={
                **apt_proxy(),
                **os.environ,
                "LC_ALL": "C.UTF-8",
                "DEBIAN_FRONTEND": "noninteractive",
            },
        )

    def _isolated(self, step: str, script: str, remedy: str, prefix: str = "") -> None:
        # Mounts and processes in namespaces of their own are gone with them, however the run ends.
        argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", script]
        names = [str(self._tree), str(self._debs / "apt")]
        self._run(step, [*argv, "sh", *names], remedy, prefix)

    def _bootstrap(self) -> None:
        recipe = self._recipe
        sources = apt_sources(recipe.suite)
        (self._debs / "base").mkdir(parents=True, exist_ok=True)
        argv = [
            "debootstrap",
            "--variant=minbase",
            f"--arch={recipe.architecture}",
            f"--keyring={recipe.keyring}",
            f"--cache-dir={self._debs / 'base'}",
            recipe.suite,
            str(self._tree),
            *[source.site for source in sources[:1]],
        ]
        script = shlex.join(argv)
        remedy = (
            "make `apt-get update` work here, or set SKERRY_DEBIAN_MIRROR to a Debian mirror that "
            "this machine reaches, and run the command again"
        )
        self._isolated("bootstrap", script, remedy, "I: ")
        if sources:
            lines = [f"deb {source.site} {source.suite} main\n" for source in sources]
            (self._tree / "etc/apt/sources.list").write_text("".join(lines), encoding="utf-8")

    def _packages(self) -> None:
        (self._debs / "apt" / "partial").mkdir(parents=True, exist_ok=True)
        # Debian's own switch: the packages' services are not started while they are installed.
        policy = self._tree / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        policy.chmod(0o755)
        options = (
            "-qq -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root"
        )
        keep = "-o APT::Keep-Downloaded-Packages=true"
        script = f"""
            mount -t proc proc "$1/proc"
            mount --bind "$2" "$1/var/cache/apt/archives"
            chroot "$1" apt-get {options} update
            chroot "$1" apt-get {options} {keep} -y upgrade
            chroot "$1" apt-get {options} {keep} -y install --no-install-recommends \
                {" ".join(self._recipe.packages)}
        """
        remedy = "see the log; when a mirror was out of reach, run the command again"
        self._isolated("packages", script, remedy)
        policy.unlink()

    def _settings(self) -> None:
        recipe = self._recipe
        overlay = recipe.sources / "files"
        for path in overlay.rglob("*"):
            if path.is_file():
                self._put(path, path.relative_to(overlay))
        for certificate in recipe.certificates:
            self._put(certificate, Path("usr/local/share/ca-certificates", certificate.name))
        shutil.copyfile(recipe.sources / "configure.sh", self._tree / "configure.sh")
        script = f"""
            mount -t proc proc "$1/proc"
            chroot "$1" sh /configure.sh
            chroot "$1" systemctl disable {" ".join(recipe.disabled)}
            chroot "$1" systemctl enable {" ".join(recipe.enabled)}
            chroot "$1" systemctl mask {" ".join(recipe.masked)}
        """
        self._isolated("settings", script, "see the log")
        (self._tree / "configure.sh").unlink()
        for name in recipe.removed:
            shutil.rmtree(self._tree / name, ignore_errors=True)
        (self._tree / "var/lib/apt/lists/partial").mkdir(parents=True, exist_ok=True)
        for name in ("etc/resolv.conf", "etc/hostname"):
            (self._tree / name).unlink(missing_ok=True)  # Docker writes its own

    def _put(self, source: Path, name: Path) -> None:
        # Modes are set here and not copied: a checkout's depend on the person's umask.
        target = self._tree / name
        for parent in reversed(target.relative_to(self._tree).parents):
            place = self._tree / parent
            if not place.exists():
                place.mkdir()
                place.chmod(0o755)
        shutil.copyfile(source, target)
        target.chmod(0o644)

    def _pack(self) -> None:
        names = ["--numeric-owner", "--xattrs", "--one-file-system"]
        argv = ["tar", "-C", str(self._tree), *names, "-cf", str(self._archive), "."]
        self._run("pack", argv, "see the log")

    def _import(self) -> None:
        changes = (
            f"LABEL {RECIPE_LABEL}={self._recipe.digest}",
            "ENV container=docker",
            'CMD ["/sbin/init"]',
        )
        flags = [part for change in changes for part in ("--change", change)]
        argv = ["docker", "import", *flags, str(self._archive), self._recipe.image]
        self._run("import", argv, "check `docker info` and the disk space of Docker's data root")


def present_recipe(image: str) -> str | None:
    """Return the recipe digest of the image that Docker has under that name, None without one.

    Raises:
        ToolsError: Docker does not answer.
    """
    remedy = "install docker.io and start it (`docker info` must work), then run the command again"
    docker = process.need("docker", NAME, "look", remedy)
    form = f'{{{{index .Config.Labels "{RECIPE_LABEL}"}}}}'
    result = process.capture([docker, "image", "inspect", "--format", form, image])
    if result.returncode == 0:
        return result.stdout.strip()
    if "No such image" in result.stderr:
        return None
    problem = f"Docker does not answer: {result.stderr.strip()}"
    raise ToolsError(NAME, "look", problem, remedy)


def _check_machine(recipe: Recipe, home: Path) -> None:
    if os.geteuid() != 0:
        raise ToolsError(
            NAME, "check", "building the image needs root", "run it as root or with sudo -E"
        )
    for program, package in (("debootstrap", "debootstrap"), ("unshare", "util-linux")):
        process.need(program, NAME, "check", f"apt-get install {package}")
    if not Path(recipe.keyring).exists():
        problem = f"Debian's signing keys are not at {recipe.keyring}"
        raise ToolsError(NAME, "check", problem, "apt-get install debian-archive-keyring")
    cache.need_space(NAME, "check", home, _NEED_BYTES)


def make(progress: Progress) -> str:
    """Have Docker hold an image of this recipe, building it when it does not; return a line on it.

    Raises:
        ToolsError: something is missing or failed; nothing half-made is left under the name.
    """
    recipe = load_recipe()
    ready = f"{recipe.image} (recipe {recipe.digest[:12]})"
    if present_recipe(recipe.image) == recipe.digest:
        return ready
    home = cache.root() / NAME
    _check_machine(recipe, home)
    with cache.lock(home, NAME, progress), cache.work_directory(home) as work:
        if present_recipe(recipe.image) == recipe.digest:
            return ready  # the run that we waited for made it
        Builder(recipe, home, work, progress).build()
    return ready
