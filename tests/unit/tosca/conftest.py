"""What the tests of the tosca package share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tosca.check import Result, check_files

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Give tests/fixtures/tosca."""
    return ROOT / "tests" / "fixtures" / "tosca"


@pytest.fixture
def check_text(tmp_path: Path) -> Callable[[str], Result]:
    """Check a template given as text; the version line is added in front of it."""

    def check(text: str) -> Result:
        path = tmp_path / "template.yaml"
        path.write_text(f"tosca_definitions_version: tosca_simple_yaml_1_3\n{text}", "utf-8")
        (result,) = check_files((path,), {})
        return result

    return check
