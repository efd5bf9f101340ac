"""YAML text -> nodes with places. Reads no file and builds no object of any class but its own.

The text is read event by event rather than through PyYAML's composer: so nesting, size and what
aliases stand for are counted before anything is built, and no tag ever reaches a constructor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import yaml

from tosca.errors import Location, Problems
from tosca.nodes import Map, Node, Scalar, Seq

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 2 * 1024 * 1024
"""Largest file read; the largest real type file known has 0.1 MB."""
MAX_DEPTH = 64
"""Deepest nesting read; real files stay below 15."""
MAX_NODES = 200_000
"""Most values a file may stand for with its aliases written out; real ones stay below 12,000."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOOLEANS = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)$")
_BASED = re.compile(r"[-+]?0(x[0-9a-fA-F_]+|b[01_]+|o?[0-7_]+)$")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*)?\.[0-9]+([eE][-+]?[0-9]+)?$|[-+]?[0-9]+\.([0-9]*)$")
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {None, "!", *(_TAG + name for name in ("str", "int", "float", "bool", "null"))}
_COLLECTION_TAGS = {None, "!", _TAG + "map", _TAG + "seq"}
_MAX_DIGITS = 40


class _RefusedError(Exception):
    """Reading stops here; the problem is recorded already."""


class _Sized(NamedTuple):
    """A node and how many values it stands for with its aliases written out."""

    node: Node
    size: int


@dataclass(slots=True)
class _Open:
    """A list or map whose end was not reached yet."""

    is_map: bool
    location: Location
    anchor: str | None
    items: list[_Sized] = field(default_factory=list)


def parse(data: bytes, file: str, problems: Problems) -> Map | None:
    """Read one document whose top level is a map.

    Every problem goes to `problems`; the result is None when nothing usable was read. Duplicate
    keys are warnings in files of others (`problems.lenient_files`), where the last one counts.
    """
    top = Location(file, 1, 1)
    content = _decode(data, file, problems)
    if content is None:
        return None
    try:
        root = _Reader(file, problems).read(content)
    except _RefusedError:
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(file, mark.line + 1, mark.column + 1) if mark else top
        problems.error(place, f"not YAML: {error.problem or error.context}", code="yaml-syntax")
        return None
    except yaml.YAMLError as error:
        problems.error(top, f"not YAML: {' '.join(str(error).split())}", code="yaml-syntax")
        return None
    if root is None or (isinstance(root, Scalar) and root.value is None):
        problems.error(top, "the file is empty, a map was expected", code="empty-file")
        return None
    if not isinstance(root, Map):
        kind = "list" if isinstance(root, Seq) else "single value"
        problems.error(
            root.location, f"a {kind} stands at the top, a map was expected", code="not-a-map"
        )
        return None
    return root


def _decode(data: bytes, file: str, problems: Problems) -> str | None:
    """Bytes -> text, with the reason when the file cannot be text."""
    whole = Location(file)
    if len(data) > MAX_BYTES:
        problems.error(
            whole,
            f"the file has {len(data)} bytes, at most {MAX_BYTES} are read",
            "split it, or pass large values as files",
            "file-too-large",
        )
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        problems.error(whole, "the file is UTF-16", "save it as UTF-8", "encoding")
        return None
    if (zero := data.find(b"\0")) >= 0:
        problems.error(
            _place(data, zero, file),
            "a NUL byte, text was expected",
            "save the file as UTF-8 text",
            "nul-byte",
        )
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.error(
            _place(data, error.start, file),
            f"not UTF-8: byte 0x{data[error.start]:02x}",
            "save the file as UTF-8",
            "encoding",
        )
        return None


def _place(data: bytes, offset: int, file: str) -> Location:
    """Line and column of a byte."""
    line_start = data.rfind(b"\n", 0, offset) + 1
    return Location(file, data.count(b"\n", 0, offset) + 1, offset - line_start + 1)


class _Reader:
    """Builds nodes from the events of one document, without recursion."""

    def __init__(self, file: str, problems: Problems) -> None:
        self._file = file
        self._problems = problems
        self._open: list[_Open] = []
        self._anchors: dict[str, _Sized | None] = {}
        self._written = 0
        self._root: Node | None = None

    def read(self, content: str) -> Node | None:
        documents = 0
        for event in self._events(content):
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        self._refuse(event, "a second document, one was expected", "documents")
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._start(event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case yaml.ScalarEvent():
                    self._add(_Sized(self._scalar(event), 1), event.anchor)
                case yaml.AliasEvent():
                    self._alias(event)
        return self._root

    @staticmethod
    def _events(content: str) -> Iterator[yaml.Event]:
        return iter(yaml.parse(content, Loader=_LOADER))

    def _at(self, event: yaml.Event) -> Location:
        mark = event.start_mark
        return (
            Location(self._file, mark.line + 1, mark.column + 1) if mark else Location(self._file)
        )

    def _refuse(self, event: yaml.Event, message: str, code: str) -> None:
        self._problems.error(self._at(event), message, code=code)
        raise _RefusedError

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        if event.tag not in _COLLECTION_TAGS:
            self._refuse(event, f"tag {event.tag} is not accepted, plain YAML was expected", "tag")
        if len(self._open) >= MAX_DEPTH:
            self._refuse(event, f"nested deeper than {MAX_DEPTH} levels", "too-deep")
        if event.anchor:
            self._anchors[event.anchor] = None
        is_map = isinstance(event, yaml.MappingStartEvent)
        self._open.append(_Open(is_map, self._at(event), event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        size = 1 + sum(item.size for item in done.items)
        node: Node
        if done.is_map:
            node = self._map(done)
        else:
            node = Seq(tuple(item.node for item in done.items), done.location)
        # The items of a collection were counted when they were added.
        self._written -= size - 1
        self._add(_Sized(node, size), done.anchor)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = event.anchor or ""
        if name not in self._anchors:
            self._refuse(event, f"alias *{name} has no anchor before it", "alias")
        target = self._anchors[name]
        if target is None:
            self._refuse(event, f"alias *{name} stands inside its own anchor", "alias")
        else:
            self._add(target, None)

    def _add(self, sized: _Sized, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = sized
        self._written += sized.size
        if self._written > MAX_NODES:
            self._problems.error(
                sized.node.location,
                f"the file stands for more than {MAX_NODES} values once aliases are written out",
                "aliases of aliases multiply: write the values out or drop them",
                "too-many-values",
            )
            raise _RefusedError
        if self._open:
            self._open[-1].items.append(sized)
        else:
            self._root = sized.node

    def _map(self, done: _Open) -> Map:
        entries: dict[str, Node] = {}
        keys: dict[str, Location] = {}
        for key, value in zip(done.items[::2], done.items[1::2], strict=True):
            if not isinstance(key.node, Scalar):
                self._problems.error(key.node.location, "a key must be a text", code="key")
                continue
            name, place = key.node.text, key.node.location
            if name == "<<" and not key.node.quoted:
                self._problems.error(
                    place, "merge keys (<<) are not part of TOSCA", "write the keys out", "key"
                )
                continue
            if name in keys:
                self._problems.formal(
                    place,
                    f"key {name!r} is given twice, first in line {keys[name].line}",
                    "keep one of the two",
                    "duplicate-key",
                )
            entries[name] = value.node
            keys[name] = place
        return Map(entries, keys, done.location)

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        place = self._at(event)
        if event.tag not in _PLAIN_TAGS:
            self._refuse(event, f"tag {event.tag} is not accepted, plain YAML was expected", "tag")
        untagged = event.implicit[0] or event.tag in _PLAIN_TAGS - {None, "!", _TAG + "str"}
        value = _typed(event.value) if untagged else event.value
        return Scalar(value, event.value, place, quoted=not untagged)


def _typed(spelling: str) -> str | float | bool | None:
    """Read a bare scalar by the rules of YAML 1.1, as files in the wild expect.

    Sexagesimal numbers and dates stay texts: `22:22` is a pair of ports to everyone who writes it.
    """
    if spelling in {"", "~", "null", "Null", "NULL"}:
        return None
    lowered = spelling.lower()
    if lowered in _BOOLEANS and spelling in {lowered, lowered.title(), lowered.upper()}:
        return _BOOLEANS[lowered]
    if len(spelling) > _MAX_DIGITS:
        return spelling
    digits = spelling.replace("_", "")
    if _INTEGER.match(spelling):
        return int(digits)
    if _BASED.match(spelling):
        sign = -1 if digits[0] == "-" else 1
        body = digits.lstrip("+-").lower()
        base = {"x": 16, "b": 2, "o": 8}.get(body[1:2], 8)
        return sign * int(body[2:] if body[1:2] in "xbo" else body, base)
    if _FLOAT.match(spelling):
        return float(digits)
    return spelling
