"""Where machines come from. One module or package per provider, found by its name.

A module `infra.providers.<kind>` with a function `adapter()` is all there is to a provider, so
that adding one changes no file here.
"""

from __future__ import annotations

import importlib
import pkgutil

from infra.errors import ProviderError
from infra.providers.base import Provider

_NOT_PROVIDERS = frozenset({"base"})


def kinds() -> tuple[str, ...]:
    """The providers there are, sorted."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(set(found) - _NOT_PROVIDERS))


def provider_for(kind: str) -> Provider:
    """The adapter of a kind; raises ProviderError for one that does not exist."""
    if kind not in kinds():
        raise ProviderError(
            f"there is no provider {kind!r}",
            where=f"known: {', '.join(kinds())}",
            remedy="name one of these in the site's file, or add infra/providers/<kind>.py",
        )
    adapter: Provider = importlib.import_module(f"{__name__}.{kind}").adapter()
    return adapter
