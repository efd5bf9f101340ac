"""The only place of this package that reads files: templates, and the types they import.

An import by URL is never fetched. It is served from a directory through an import map, and a file
that comes that way is somebody else's: breaches of the letter in it are warnings. What was parsed
is kept by content, so that a federation of many sites reads each type file once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tosca.catalogue import Catalogue
from tosca.definitions import TypeDef, read_types
from tosca.errors import Location, Problem, Problems
from tosca.nodes import Map, Node, Scalar, Seq, describe
from tosca.parse import MAX_BYTES, parse
from tosca.template import read_version

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPES: Final = Path(__file__).parent / "types"
TEMPLATES: Final = Path(__file__).parent / "templates"
PROVIDERS: Final = Path(__file__).parent / "providers"
MAX_IMPORTS: Final = 100
"""Most files one template may import, directly and indirectly."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A TOSCA file as read; equal only to itself, which is what caches go by."""

    file: str
    foreign: bool
    root: Map | None
    types: dict[tuple[str, str], TypeDef]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Import:
    """Where an import leads: the file, the folder it may not leave, and whose it is."""

    path: Path
    top: Path
    foreign: bool
    place: Location


def read_bytes(path: Path, place: Location, problems: Problems) -> bytes | None:
    """Read a file, at most a little more than the parser takes; report why it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        problems.error(place, message, "check the name", "unreadable")
        return None


def read_source(
    path: Path, problems: Problems, *, foreign: bool = False, place: Location | None = None
) -> Source | None:
    """Read one TOSCA file and add what is wrong with it to `problems`."""
    data = read_bytes(path, place or Location(str(path)), problems)
    if data is None:
        return None
    source = _source(data, str(path), foreign=foreign)
    problems.found.extend(source.problems)
    if foreign:
        problems.lenient_files.add(source.file)
    return source


@lru_cache(maxsize=512)
def _source(data: bytes, file: str, *, foreign: bool) -> Source:
    problems = Problems(lenient_files={file} if foreign else set())
    root = parse(data, file, problems)
    types: dict[tuple[str, str], TypeDef] = {}
    if root is not None:
        read_version(root, problems)
        types = read_types(root, problems)
    return Source(file, foreign, root, types, tuple(problems.found))


def provider_kinds() -> list[str]:
    """Name the providers that have a description."""
    return sorted(path.stem for path in PROVIDERS.glob("*.yaml"))


@lru_cache(maxsize=1)
def normative() -> tuple[Source, ...]:
    """Give the types of the specification, and ours."""
    problems = Problems()
    paths = [TYPES / f"{name}.yaml" for name in ("base", "nodes", "skerry")]
    paths += [PROVIDERS / f"{kind}.yaml" for kind in provider_kinds()]
    sources = [read_source(path, problems) for path in paths]
    problems.raise_errors()
    return tuple(source for source in sources if source is not None)


def catalogue(
    path: Path, source: Source, import_map: Mapping[str, Path], problems: Problems
) -> Catalogue:
    """Give the types in sight of a file: the specification's, ours, imported ones, its own.

    `import_map` leads from the prefix of an import to the directory that serves the rest of it.
    """
    imports = _Imports(import_map, problems)
    imports.follow(_File(path, path.parent, source), (path.resolve(),))
    # A file of our own types that is checked itself takes the place of its other reading.
    base = (one for one in normative() if Path(one.file).resolve() != path.resolve())
    united, found = _united((*base, *imports.collected.values(), source))
    problems.found.extend(found)
    return united


@dataclass(frozen=True, slots=True)
class _File:
    """A file whose imports are followed, and the folder they may not leave."""

    path: Path
    top: Path
    source: Source


class _Imports:
    """Follows imports, and keeps each file found once, by its real path."""

    def __init__(self, import_map: Mapping[str, Path], problems: Problems) -> None:
        self.collected: dict[Path, Source] = {}
        self._import_map = import_map
        self._problems = problems

    def follow(self, file: _File, trail: tuple[Path, ...]) -> None:
        """Read the imports of a file, depth first, so that an importer's types come later."""
        for target in self._targets(file):
            resolved = target.path.resolve()
            if resolved in trail:
                names = [one.name for one in (*trail[trail.index(resolved) :], resolved)]
                message = "files import each other: " + " -> ".join(names)
                self._problems.error(target.place, message, "break the loop", "import-loop")
                continue
            if resolved in self.collected:
                continue
            if len(self.collected) + len(trail) > MAX_IMPORTS:
                message = f"more than {MAX_IMPORTS} files are imported"
                self._problems.error(target.place, message, code="too-many-imports")
                return
            source = read_source(
                target.path, self._problems, foreign=target.foreign, place=target.place
            )
            if source is not None:
                self.follow(_File(target.path, target.top, source), (*trail, resolved))
                self.collected[resolved] = source

    def _targets(self, file: _File) -> list[_Import]:
        root = file.source.root
        imports = root.get("imports") if root else None
        if root is None or imports is None:
            return []
        if not isinstance(imports, Seq):
            message = f"imports is {describe(imports)}, a list was expected"
            self._problems.error(root.at("imports"), message, "write `- file.yaml`", "shape")
            return []
        targets = (self._target(item, file) for item in imports)
        return [target for target in targets if target is not None]

    def _target(self, item: Node, file: _File) -> _Import | None:
        """Find the file an import means: a text, `{file: ...}` or `{any_name: ...}`."""
        place, reference = item.location, _reference(item)
        if reference is None:
            message = f"an import is {describe(item)}, a file or address was expected"
            self._problems.error(place, message, "write `- file.yaml`", "shape")
            return None
        target = self._mapped(reference, place)
        if target is None and "://" in reference:
            message = f"import {reference} is an address, and addresses are not fetched"
            remedy = f"map it to a copy: --import-map {reference.rpartition('/')[0]}/=DIR"
            self._problems.error(place, message, remedy, "import-address")
            return None
        if target is None:
            target = _Import(file.path.parent / reference, file.top, file.source.foreign, place)
        if not target.path.resolve().is_relative_to(target.top.resolve()):
            message = f"import {reference} leaves the folder {target.top}"
            remedy = "map it: --import-map PREFIX=DIR"
            self._problems.error(place, message, remedy, "import-outside")
            return None
        return target

    def _mapped(self, reference: str, place: Location) -> _Import | None:
        """Give the file that the longest prefix of the import map leads to."""
        prefixes = [prefix for prefix in self._import_map if reference.startswith(prefix)]
        if not prefixes:
            return None
        prefix = max(prefixes, key=len)
        base = self._import_map[prefix]
        path = base / reference.removeprefix(prefix).lstrip("/")
        return _Import(path, base, foreign=True, place=place)


def _reference(item: Node) -> str | None:
    """Give what an import points to, whichever of the forms of 1.0 to 1.3 it is written in."""
    match item:
        case Scalar(value=str()):
            return item.text
        case Map() if isinstance(file := item.get("file") or item.get("url"), Scalar):
            return file.text
        case Map(entries=entries) if len(entries) == 1:
            (inner,) = entries.values()
            return _reference(inner)
    return None


@lru_cache(maxsize=64)
def _united(sources: tuple[Source, ...]) -> tuple[Catalogue, tuple[Problem, ...]]:
    """Unite the types of files, later ones winning, and check those that are not normative."""
    lenient = {source.file for source in sources if source.foreign}
    problems = Problems(lenient_files=lenient)
    types: dict[tuple[str, str], TypeDef] = {}
    own = {source.file for source in normative()}
    for source in sources:
        for key, one in source.types.items():
            if key in types:
                first = types[key].location
                report = problems.warning if first.file in own else problems.formal
                message = f"{key[0]} type {key[1]} is there already, in {Path(first.file).name}"
                report(one.location, message, "this one counts", "redefined-type")
            types[key] = one
    united = Catalogue(types)
    for source in sources:
        if source.file not in own:
            united.check(source.types.values(), problems)
    return united, tuple(problems.found)
