"""The wheel source, with pip looking into a folder of this machine only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.errors import ToolsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Bench


def test_the_program_in_a_pinned_wheel_is_installed(
    bench: Bench, wheels: Callable[..., dict[str, str]]
) -> None:
    inside = "fake_bin-1.2.3.data/scripts/fake"
    bench.pin(fake={"wheel": wheels("fake-bin", "1.2.3", {inside: bench.script()})})

    bench.make()

    assert bench.manifest["fake"]["source"] == "wheel"
    assert bench.script() == Path(bench.manifest["fake"]["path"]).read_bytes()


def test_a_wheel_with_another_digest_is_refused(
    bench: Bench, wheels: Callable[..., dict[str, str]]
) -> None:
    pin = wheels("fake-bin", "1.2.3", {"fake": bench.script()})
    bench.pin(fake={"wheel": {**pin, "sha256": "0" * 64}})

    with pytest.raises(ToolsError, match=r"wrong digest: the package index has another fake-bin"):
        bench.make()

    assert bench.manifest == {}


def test_a_wheel_that_the_index_does_not_have_is_named(
    bench: Bench, wheels: Callable[..., dict[str, str]]
) -> None:
    pin = wheels("fake-bin", "1.2.3", {"fake": bench.script()})
    bench.pin(fake={"wheel": {**pin, "version": "9.9"}})

    with pytest.raises(ToolsError, match=r"^fake: wheel: .*fake-bin==9\.9.*Remedy: make `pip"):
        bench.make()


def test_a_wheel_without_the_program_is_an_error(
    bench: Bench, wheels: Callable[..., dict[str, str]]
) -> None:
    bench.pin(fake={"wheel": wheels("fake-bin", "1.2.3", {"other": b""})})

    with pytest.raises(ToolsError, match="has no fake in it"):
        bench.make()
