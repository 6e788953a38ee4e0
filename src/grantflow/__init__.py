"""Grantflow: an OAuth integration that loses no grant, and a Webex-compatible platform to run it against.

What `__all__` names is the public API of the integration half; its compatibility is what the version number tells.
The names load on first use, so that `import grantflow` costs nothing where only a part is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grantflow.sealing import KeyRing

__all__ = ["KeyRing"]
__version__ = "0.1.0"

_HOMES = {"grantflow.sealing": ["KeyRing"]}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'grantflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
