"""The sites of an inventories folder, compiled."""

from __future__ import annotations

from pathlib import Path

from infra.errors import SettingsError
from tosca import compile_site, load_federation
from tosca.model import Site


def load_site(inventories: Path, name: str) -> Site:
    """Compile inventories/<name>/site.yaml; raises SettingsError or tosca.errors.ToscaError."""
    folder = inventories / name
    if not (folder / "site.yaml").is_file():
        known = sorted(path.parent.name for path in inventories.glob("*/site.yaml"))
        raise SettingsError(
            f"there is no site {name}",
            where=f"{inventories}; sites there: {', '.join(known) or 'none'}",
            remedy=f"write {folder / 'site.yaml'}, or name one of these sites as the stack",
        )
    return compile_site(folder, load_federation(inventories / "federation.yaml"))
