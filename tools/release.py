"""Second source: the vendor's release archive from a configured server, checked by its pin.

There is no default server: with neither SKERRY_RELEASES_URL nor the vendor's own variable set the
source is skipped, and so it is for a tool whose archive nobody has pinned.
"""

from __future__ import annotations

import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from contextlib import closing
from typing import IO, TYPE_CHECKING

from tools import cache
from tools.errors import SourceAbsent, ToolsError, is_no_space
from tools.sources import need_amd64

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.pins import Release, Tool
    from tools.sources import Workshop

BASE_URL_VARIABLE = "SKERRY_RELEASES_URL"
_STEP = "release"
_CHUNK = 1 << 18
_ATTEMPTS = 3
_TIMEOUT_SECONDS = 30
_PARTIAL = 206
_RANGE_NOT_SATISFIABLE = 416


def fetch(tool: Tool, shop: Workshop) -> dict[str, Path]:
    """Download, check and unpack the archive.

    Raises:
        SourceAbsent: no server is configured, nothing is pinned, or the server does not have it.
        ToolsError: the archive is not the pinned one, or it lacks a file.
    """
    release = tool.release
    if release is None:
        raise SourceAbsent(tool.name, _STEP, "the vendor has no release archive", "-")
    url = _url(tool, release)
    need_amd64(tool.name, _STEP)
    archive = shop.downloads / f"{release.sha256}-{url.rpartition('/')[2]}"
    with shop.progress.step(tool.name, f"download {url}"):
        _download(tool, shop, url, archive)
    with shop.progress.step(tool.name, "unpack"):
        files = _unpack(tool, archive, shop.out)
    archive.unlink()
    return files


def _url(tool: Tool, release: Release) -> str:
    variables = (release.base_url_variable, BASE_URL_VARIABLE)
    base = next((os.environ[name] for name in variables if os.environ.get(name)), None)
    if base is None:
        problem = f"{BASE_URL_VARIABLE} is not set"
        raise SourceAbsent(tool.name, _STEP, problem, f"set {BASE_URL_VARIABLE}")
    if release.sha256 is None:
        problem = f"no SHA-256 is pinned for the archive of {tool.name} {tool.version}"
        remedy = "add release.sha256 to tools/versions.yaml from the vendor's signed checksums"
        raise SourceAbsent(tool.name, _STEP, problem, remedy)
    if not base.startswith(("http://", "https://")):
        problem = f"the release server {base!r} is neither http nor https"
        raise ToolsError(tool.name, _STEP, problem, f"correct {' or '.join(variables)}")
    return f"{base.rstrip('/')}/{release.archive}"


def _download(tool: Tool, shop: Workshop, url: str, archive: Path) -> None:
    """Bring the whole, checked archive to `archive`; a part of it survives between runs."""
    if archive.exists() and cache.sha256_file(archive) == _pin(tool):
        return
    partial = archive.with_name(archive.name + ".part")
    shop.downloads.mkdir(parents=True, exist_ok=True)
    resumed = partial.exists()
    _transfer(tool, shop, url, partial)
    if resumed and cache.sha256_file(partial) != _pin(tool):
        shop.progress.say(tool.name, "the resumed download is damaged; once more from the start")
        partial.unlink()
        _transfer(tool, shop, url, partial)
    actual = cache.sha256_file(partial)
    if actual != _pin(tool):
        partial.unlink()
        problem = f"wrong digest: {url} has SHA-256 {actual}, pinned is {_pin(tool)}"
        remedy = (
            "do not use that server before its owner explains the difference; unset "
            f"{BASE_URL_VARIABLE} to build instead"
        )
        raise ToolsError(tool.name, _STEP, problem, remedy)
    cache.sync_file(partial)
    partial.replace(archive)


def _pin(tool: Tool) -> str | None:
    return tool.release.sha256 if tool.release else None


def _transfer(tool: Tool, shop: Workshop, url: str, partial: Path) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _receive(tool, shop, url, partial)
        except urllib.error.HTTPError as error:
            if error.code == _RANGE_NOT_SATISFIABLE and attempt < _ATTEMPTS:
                partial.unlink(missing_ok=True)  # longer than the file: of something else
                continue
            problem = f"the server answers {error.code} {error.reason} for {url}"
            raise SourceAbsent(tool.name, _STEP, problem, "check the server") from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if isinstance(error, OSError) and is_no_space(error):
                raise
            if attempt == _ATTEMPTS:
                problem = f"{url} broke off {_ATTEMPTS} times: {error}"
                remedy = "run the command again, it goes on from there"
                raise SourceAbsent(tool.name, _STEP, problem, remedy) from error
            shop.progress.say(tool.name, f"the download broke off ({error}); going on")
        else:
            return


def _receive(tool: Tool, shop: Workshop, url: str, partial: Path) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked in _url
    with (
        urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer,  # noqa: S310
    ):
        if answer.status != _PARTIAL:
            have = 0
        rest = int(answer.headers.get("Content-Length") or 0)
        # The archive, and about three times as much for what comes out of it.
        cache.need_space(tool.name, _STEP, partial, rest + 3 * (have + rest))
        with partial.open("ab" if have else "wb") as stream:
            received = have
            while chunk := answer.read1(_CHUNK):
                stream.write(chunk)
                received += len(chunk)
                total = f" of {(have + rest) >> 20}" if rest else ""
                shop.progress.detail(f"{received >> 20}{total} MiB")
        if rest and received < have + rest:
            message = f"{received} of {have + rest} bytes came"
            raise ConnectionError(message)


def _unpack(tool: Tool, archive: Path, out: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    try:
        for name, stream in _members(archive, set(tool.files)):
            target = out / name
            with stream, target.open("wb") as written:
                shutil.copyfileobj(stream, written, _CHUNK)
            target.chmod(0o755)
            found[name] = target
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        problem = f"the archive {archive.name} cannot be read: {error}"
        raise ToolsError(tool.name, _STEP, problem, "correct its pin in versions.yaml") from error
    missing = [name for name in tool.files if name not in found]
    if missing:
        archive.unlink()
        problem = f"the archive {archive.name.partition('-')[2]} has no {missing[0]} in it"
        remedy = f"correct the entry of {tool.name} in versions.yaml"
        raise ToolsError(tool.name, _STEP, problem, remedy)
    return found


def _members(archive: Path, wanted: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
    if archive.name.endswith(".zip"):
        with closing(zipfile.ZipFile(archive)) as zipped:
            for entry in zipped.infolist():
                name = entry.filename.rpartition("/")[2]
                if name in wanted:
                    yield name, zipped.open(entry)
        return
    with closing(tarfile.open(archive)) as tarred:
        for member in tarred:
            name = member.name.rpartition("/")[2]
            if name in wanted and member.isfile():
                stream = tarred.extractfile(member)
                if stream is not None:
                    yield name, stream
