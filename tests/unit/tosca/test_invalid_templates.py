"""Every template in tests/fixtures/tosca/invalid is refused exactly as written beside it.

To add a case: write `<case>.yaml`, and `<case>.errors` with one `line:column: message [code]` for
each error, in file order. A case without the other file fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tosca.check import check_files

INVALID = Path(__file__).parents[2] / "fixtures" / "tosca" / "invalid"
CASES = sorted({path.stem for path in INVALID.iterdir()})


@pytest.mark.parametrize("case", CASES)
def test_an_invalid_template_is_refused_with_every_error_at_its_place(case: str) -> None:
    path = INVALID / f"{case}.yaml"
    (result,) = check_files((path,), {})
    found = [
        f"{error} [{error.code}]".replace(f"{path}:", "").replace(f"{INVALID}", "<folder>")
        for error in result.errors
    ]
    expected = (INVALID / f"{case}.errors").read_text(encoding="utf-8").splitlines()
    assert expected == found
    assert expected
