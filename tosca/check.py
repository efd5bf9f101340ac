"""Checks template files for people who write them; what `python -m tosca check` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tosca.errors import Location, Problem, Problems, ToscaError
from tosca.lint import lint
from tosca.load import Source, catalogue, read_source
from tosca.nodes import Map, Node, Scalar, Seq, describe
from tosca.resolve import Topology, resolve
from tosca.template import Template, merge, read_template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MAX_GENERATIONS = 8


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one composition of files; without errors it is accepted."""

    name: str
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    template: Template | None = None
    topology: Topology | None = None

    @property
    def accepted(self) -> bool:
        """Whether the template may be used."""
        return not self.errors


@dataclass(frozen=True, slots=True)
class Composition:
    """Files in the order in which they are laid over each other; the first is complete."""

    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        """How the composition is called in messages and on the command line."""
        return "+".join(str(path) for path in self.files)


def check_files(
    files: tuple[Path, ...], import_map: Mapping[str, Path], *, lenient: bool = False
) -> list[Result]:
    """Check one file, or several laid over each other.

    A single file that names parents in `metadata.parents` is checked once over each of them, the
    parents being files of the same folder. With `lenient` the files are taken as somebody else's:
    breaches of the letter, duplicate keys for one, are warnings.
    """
    problems = Problems()
    compositions = [Composition(files)] if len(files) > 1 else _over_parents(files[0], (), problems)
    if problems.errors:
        return [Result(str(files[-1]), tuple(sorted(set(problems.errors))), ())]
    return [_bounded(composition, import_map, lenient=lenient) for composition in compositions]


def _over_parents(path: Path, trail: tuple[Path, ...], problems: Problems) -> list[Composition]:
    """Give every chain of parents that ends in a file."""
    source = read_source(path, Problems())
    root = source.root if source else None
    if root is None:
        return [Composition((path,))]
    found: list[Composition] = []
    for parent in _parents(root, problems):
        target = path.parent / parent.text
        shown = " -> ".join(one.name for one in (*trail, path, target))
        if not target.resolve().is_relative_to(path.parent.resolve()):
            message = f"parent {parent.text} is not in the folder of {path.name}"
            problems.error(parent.location, message, "give PARENT+CHILD", "parent")
        elif not target.is_file():
            message = f"parent {parent.text} is not there"
            remedy = f"put it beside {path.name}, or give PARENT+CHILD"
            problems.error(parent.location, message, remedy, "parent")
        elif target in (*trail, path) or len(trail) >= _MAX_GENERATIONS:
            message = f"parents lead in a circle or too far: {shown}"
            problems.error(parent.location, message, "break the circle", "parent-cycle")
        else:
            above = _over_parents(target, (*trail, path), problems)
            found.extend(Composition((*one.files, path)) for one in above)
    return found or [Composition((path,))]


def _parents(root: Map, problems: Problems) -> list[Scalar]:
    metadata = root.get("metadata")
    parents: Node | None = metadata.get("parents") if isinstance(metadata, Map) else None
    if parents is None:
        return []
    if isinstance(parents, Seq) and all(isinstance(one, Scalar) for one in parents):
        return [one for one in parents if isinstance(one, Scalar)]
    message = f"metadata.parents is {describe(parents)}, a list of file names was expected"
    problems.error(parents.location, message, "write `- file.yaml`", "shape")
    return []


def _bounded(composition: Composition, import_map: Mapping[str, Path], *, lenient: bool) -> Result:
    """Check one composition; with far too many problems, give those found until then."""
    try:
        return _check(composition, import_map, lenient=lenient)
    except ToscaError as error:
        return Result(composition.name, error.problems, ())


def _check(composition: Composition, import_map: Mapping[str, Path], *, lenient: bool) -> Result:
    """Check one composition: read, merge, resolve, lint."""
    problems = Problems()
    sources = [read_source(path, problems, foreign=lenient) for path in composition.files]
    roots = [source.root for source in sources if source is not None and source.root is not None]
    first = sources[0]
    if first is None or len(roots) < len(sources):
        return _result(composition, problems)
    merged = roots[0]
    for root in roots[1:]:
        merged = merge(merged, root)
    template, topology = _resolve(composition.files[0], first, merged, import_map, problems)
    return _result(composition, problems, template, topology)


def _resolve(
    path: Path, source: Source, root: Map, import_map: Mapping[str, Path], problems: Problems
) -> tuple[Template | None, Topology | None]:
    types = catalogue(path, source, import_map, problems)
    template = read_template(root, problems)
    if template is None:
        if not (source.types or root.get("imports") or problems.errors):
            message = "the file has neither types nor a topology_template"
            problems.error(Location(str(path)), message, "add one", "nothing-to-check")
        return None, None
    topology = resolve(template, types, None, problems, complete=False)
    lint(template, topology, types, problems)
    return template, topology


def _result(
    composition: Composition,
    problems: Problems,
    template: Template | None = None,
    topology: Topology | None = None,
) -> Result:
    return Result(
        composition.name,
        tuple(sorted(set(problems.errors))),
        tuple(sorted(set(problems.warnings))),
        template,
        topology,
    )
