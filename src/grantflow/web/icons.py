"""The icons of integrations: the platform's own, and the address of an uploaded one."""

import re
from collections.abc import Callable

#: Name to words. Each is a file among the look's own (``app-chat.svg``).
OWN_ICONS = {
    "chat": "Speech bubble",
    "calendar": "Calendar",
    "bell": "Bell",
    "chart": "Chart",
    "check": "Check mark",
    "cloud": "Cloud",
    "key": "Key",
    "rocket": "Rocket",
}
#: An uploaded icon's name is the SHA-256 of its content.
DIGEST = re.compile(r"[0-9a-f]{64}")
UPLOADED = "/icons"


def icon_path(icon: str | None, *, static_path: Callable[[str], str]) -> str | None:
    """Where the icon lies below the app's mount prefix; None for none, and then a letter tile stands for it."""
    if icon in OWN_ICONS:
        return static_path(f"app-{icon}.svg")
    return f"{UPLOADED}/{icon}" if icon and DIGEST.fullmatch(icon) else None
