"""Third source: a build from the Go modules that go.mod and go.sum in pins/<name>/ fix.

Go's own caches make it resumable: what was compiled before an interruption is not compiled again.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tools import cache, process, toolchain
from tools.errors import CommandError, SourceAbsent, ToolsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.pins import Build, Copy, Tool
    from tools.sources import Workshop

_LINK_MIB = 1000
_REFUSED = re.compile(r"(\S+@\S+): reading \S+: (40[134]|410) ([\w ]+)")
_TOO_OLD = re.compile(r"requires go >= ([\w.]+)")
_MISMATCH = re.compile(r"verifying (?:module )?(\S+@\S+?):? checksum mismatch")
_NETWORK = re.compile(r"(dial tcp|no such host|connection refused|i/o timeout|proxyconnect).*")


def fetch(tool: Tool, shop: Workshop) -> dict[str, Path]:
    """Build the tool's programs and copy what its modules carry beside them.

    Raises:
        SourceAbsent: the tool has no module pins.
        ToolsError: no Go, no room, a refused or changed module, or code that does not compile.
    """
    if not tool.build:
        raise SourceAbsent(tool.name, "build", "no Go modules are pinned for it", "-")
    go = toolchain.find(shop.versions.go_minimum(tool), shop)
    work = _GoWork(tool, go, shop)
    found: dict[str, Path] = {}
    for build in tool.build:
        found[build.output] = work.build(build)
    for copy in tool.copies:
        path = work.copy(copy)
        found[path.name] = path
    return found


class _GoWork:
    def __init__(self, tool: Tool, go: Path, shop: Workshop) -> None:
        self._tool = tool
        self._go = go
        self._shop = shop
        # `readonly` and go.sum: Go fails rather than take what the pins do not name. No cgo: one
        # binary for every distribution that hosts may have. Scratch files of a killed build lie in
        # the work directory, which the next run clears.
        scratch = shop.out.parent / "go-scratch"
        scratch.mkdir(exist_ok=True)
        self._env = {
            **toolchain.environment(),
            "GOFLAGS": "-mod=readonly",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "CGO_ENABLED": "0",
            "GOTMPDIR": str(scratch),
        }

    def build(self, build: Build) -> Path:
        self._check_space(build)
        tags = ["-tags", ",".join(build.tags)] if build.tags else []
        total = self._modules(build, tags)
        target = self._shop.out / build.output
        values = [f"-X {name}={value}" for name, value in build.set]
        flags = ["-trimpath", "-ldflags", " ".join(["-s", "-w", *values]), *tags]
        compiled = 0

        def watch(line: str) -> str:
            nonlocal compiled
            compiled += 1
            return f"{compiled} of at most {total} packages: {line}"

        step = f"compile {build.output}"
        argv = ["build", *flags, "-v", "-o", str(target), build.package]
        self._run(step, argv, build.pins, watch)
        return target

    def copy(self, copy: Copy) -> Path:
        step = f"copy {Path(copy.path).name}"
        argv = [str(self._go), "list", "-m", "-f", "{{.Dir}}", copy.module]
        cwd = self._shop.versions.pins(copy.pins)
        result = process.capture(argv, env=self._env, cwd=cwd, timeout=600)
        source = Path(result.stdout.strip()) / copy.path
        if result.returncode != 0 or not source.is_file():
            problem = f"{copy.module} has no {copy.path}: {result.stderr.strip()}"
            raise ToolsError(self._tool.name, step, problem, "correct `copies` in versions.yaml")
        target = self._shop.out / source.name
        shutil.copyfile(source, target)
        target.chmod(0o755)
        return target

    def _modules(self, build: Build, tags: list[str]) -> int:
        """Download the modules that the package needs; return how many packages it has."""
        modules = packages = 0

        def watch(line: str) -> str:
            nonlocal modules, packages
            if line.startswith("go: downloading"):
                modules += 1
            else:
                packages += 1
            return f"{modules} modules downloaded, {packages} packages listed"

        argv = ["list", "-deps", *tags, "-f", "{{.ImportPath}}", build.package]
        self._run(f"modules of {build.output}", argv, build.pins, watch)
        return packages

    def _run(self, step: str, argv: Sequence[str], pins: str, watch: process.Watch) -> None:
        tool = self._tool.name
        shop = self._shop
        try:
            with shop.progress.step(tool, step):
                process.run(
                    tool,
                    step,
                    [str(self._go), *argv],
                    progress=shop.progress,
                    log=shop.log(tool),
                    remedy="see the log; running the command again goes on where it stopped",
                    watch=watch,
                    env=self._env,
                    cwd=shop.versions.pins(pins),
                )
        except CommandError as error:
            raise self._explain(step, error, pins) from error

    def _explain(self, step: str, error: CommandError, pins: str) -> ToolsError:
        tool = self._tool.name
        other = (
            f"put {tool} {self._tool.version} on PATH, or set SKERRY_RELEASES_URL with a pin in "
            "versions.yaml, or point GOPROXY to a proxy that serves it"
        )
        if refused := _REFUSED.search(error.tail):
            problem = f"the module proxy refuses {refused[1]} ({refused[2]} {refused[3].strip()})"
            return ToolsError(tool, step, problem, other)
        if changed := _MISMATCH.search(error.tail):
            problem = f"wrong digest: {changed[1]} is not what pins/{pins}/go.sum fixes"
            remedy = "`go clean -modcache` and once more; if it stays, do not use that proxy"
            return ToolsError(tool, step, problem, remedy)
        if old := _TOO_OLD.search(error.tail):
            return ToolsError(tool, step, f"Go >= {old[1]} is needed", "install it")
        if "signal: killed" in error.tail:
            problem = "the compiler was killed, most likely for want of memory"
            return ToolsError(tool, step, problem, "free 3 GiB of memory and run it again")
        if network := _NETWORK.search(error.tail):
            problem = f"the module proxy is out of reach: {network[0]}"
            remedy = "check `go env GOPROXY` and run it again; what is done stays done"
            return ToolsError(tool, step, problem, remedy)
        return error

    def _check_space(self, build: Build) -> None:
        """Check the room in Go's caches: little for what they already know."""
        argv = [str(self._go), "env", "GOCACHE", "GOMODCACHE"]
        answer = process.capture(argv, env=self._env).stdout.split("\n")
        build_cache, module_cache = (Path(line) for line in answer[:2])
        module = self._shop.versions.pins(build.pins)
        known = (build_cache / "README").exists() and _has_modules(module_cache, module / "go.mod")
        step = f"compile {build.output}"
        cache.need_space(self._tool.name, step, self._shop.out, _LINK_MIB << 20)
        for place in (build_cache, module_cache):
            need = (_LINK_MIB if known else build.disk_mib) << 20
            cache.need_space(self._tool.name, step, place, need)


def _has_modules(module_cache: Path, go_mod: Path) -> bool:
    """Tell whether the modules that go.mod requires directly are unpacked in the module cache."""
    required = re.findall(r"^(?:require|\t)\s*(\S+) (v\S+)$", go_mod.read_text(), re.MULTILINE)
    return all((module_cache / f"{name}@{version}").is_dir() for name, version in required)
