"""Plain words for what the protocol says in numbers."""

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def duration(seconds: int) -> str:
    """7,776,000 is `90 days`, 5,400 is `90 minutes`: the largest unit that says it exactly."""
    for unit, size in _UNITS:
        count, rest = divmod(seconds, size)
        if count and not rest:
            return counted(count, unit)
    return counted(seconds, "second")


def counted(count: int, noun: str, *, many: str = "") -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {many or noun + 's'}"
