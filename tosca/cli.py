"""`python -m tosca check`: the only command of this package."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tosca.check import Result, check_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tosca.errors import Problem

_DESCRIPTION = """\
Check TOSCA templates (Simple Profile in YAML 1.0 to 1.3) and files of types.

A FILE that names parents in metadata.parents is a fragment: it is laid over each of them in turn,
and each composition is checked. The parents are looked for in the folder of the fragment. To name
them yourself, or to lay several fragments over each other, write PARENT+CHILD or PARENT+CHILD+NEXT.

Nothing is fetched: imports by address need --import-map, e.g.
  --import-map https://types.example.org/main/=vendored/types
"""
_EPILOG = "exit status: 0 all accepted, 1 at least one refused, 2 wrong usage"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit status."""
    options = _parser().parse_args(arguments)
    results = [
        result
        for files in options.files
        for result in check_files(files, dict(options.import_map), lenient=options.lenient)
    ]
    if options.json:
        json.dump([_as_json(result) for result in results], sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        for result in results:
            _print(result)
    return 0 if all(result.accepted for result in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tosca")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="check templates",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument(
        "--import-map",
        action="append",
        default=[],
        type=_mapping,
        metavar="PREFIX=DIR",
        help="serve imports that start with PREFIX from DIR; may be repeated, the longest wins",
    )
    check.add_argument(
        "--lenient",
        action="store_true",
        help="take FILEs as somebody else's, as mapped imports are: duplicate keys, unknown "
        "keywords and unknown types in definitions become warnings",
    )
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    check.add_argument("files", nargs="+", type=_files, metavar="FILE")
    return parser


def _mapping(value: str) -> tuple[str, Path]:
    prefix, separator, folder = value.rpartition("=")
    if not separator or not prefix:
        message = f"{value!r} is not PREFIX=DIR"
        raise argparse.ArgumentTypeError(message)
    if not Path(folder).is_dir():
        message = f"{folder!r} is not a folder"
        raise argparse.ArgumentTypeError(message)
    return prefix, Path(folder)


def _files(value: str) -> tuple[Path, ...]:
    """Split PARENT+CHILD, unless a file has that very name."""
    if Path(value).exists():
        return (Path(value),)
    return tuple(Path(part) for part in value.split("+"))


def _print(result: Result) -> None:
    for problem in sorted((*result.errors, *result.warnings)):
        code = f" [{problem.code}]" if problem.code else ""
        sys.stdout.write(f"{problem}{code}\n")
    verdict = "accepted" if result.accepted else f"refused, {_count(result.errors, 'error')}"
    sys.stdout.write(f"{result.name}: {verdict}, {_count(result.warnings, 'warning')}\n")


def _count(problems: Sequence[Problem], noun: str) -> str:
    return f"{len(problems)} {noun}" + ("" if len(problems) == 1 else "s")


def _as_json(result: Result) -> dict[str, object]:
    return {
        "name": result.name,
        "accepted": result.accepted,
        "errors": [_problem_as_json(problem) for problem in result.errors],
        "warnings": [_problem_as_json(problem) for problem in result.warnings],
    }


def _problem_as_json(problem: Problem) -> dict[str, object]:
    fields = dataclasses.asdict(problem)
    place = problem.location
    del fields["location"], fields["severity"]
    return {"file": place.file, "line": place.line, "column": place.column, **fields}
