"""Which words of a platform, and which owners of the host application, can be stored, logged and shown."""

from typing import Final

from grantflow.client.grant import Person

#: The most that an id, a name or an address of a person may hold, in characters: thrice what Webex, OpenID Connect
#: (255 for an id) and e-mail (254) allow.
_LONGEST_WORDS: Final = 768
#: In bytes. Owner, person and client id share one key of an index, for which PostgreSQL has room for 2,704.
_LONGEST_OWNER: Final = 1_000
#: Shown or needed within words, though Python counts them as not printable: joiners, and spaces that do not break.
_WITHIN_WORDS: Final = frozenset("\u200c\u200d\u00a0\u202f\u3000")


def presentable(person: Person) -> Person | None:
    """What can be stored, logged and shown of what the platform tells; a name that is none is left out.

    None where there is no usable id.
    """
    if not _is_shown(person.person_id):
        return None
    return Person(
        person_id=person.person_id,
        display_name=person.display_name if _is_shown(person.display_name) else None,
        email=person.email if _is_shown(person.email) else None,
    )


def check_owner(owner: str) -> None:
    """Raises ValueError where no vault could keep it, whichever database that is in."""
    if not owner.strip():
        raise ValueError("owner is empty; leave it out where you have no users of your own.")
    try:
        length = len(owner.encode())
    except UnicodeEncodeError:  # its own message would quote the owner
        raise ValueError("owner holds half a character (a lone surrogate), which cannot be written.") from None
    if "\0" in owner or length > _LONGEST_OWNER:
        raise ValueError(f"owner holds a NUL, or more than {_LONGEST_OWNER:,} bytes, which not every vault can keep.")


def _is_shown(words: object) -> bool:
    # Halves of characters cannot be written, line breaks forge lines of a log, marks of direction turn pages around.
    return (
        isinstance(words, str)
        and 0 < len(words.encode("utf-8", "surrogatepass")) <= _LONGEST_WORDS
        and not words.isspace()
        and all(character.isprintable() or character in _WITHIN_WORDS for character in words)
    )
