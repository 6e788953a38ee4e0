"""Part of a name, as typed into a search field, as a LIKE pattern; the escape character is `!`."""


def pattern_of(search: str) -> str:
    """For ``lower(name) LIKE :pattern ESCAPE '!'``; an empty search matches every name."""
    plain = search.strip().lower()
    for special in "!%_":
        plain = plain.replace(special, f"!{special}")
    return f"%{plain}%"
