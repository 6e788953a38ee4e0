"""The tree of errors."""

from grantflow.protocol import errors
from grantflow.protocol.errors import OAuthError, printable


def test_s29_a_description_keeps_to_the_allowed_ascii_set() -> None:
    error = errors.InvalidScope('a "quoted" \\ naïve\r\nline \x00')
    assert error.description == "a 'quoted'  naveline "
    assert printable("plain") == "plain"


def test_the_drawn_tree_names_every_error() -> None:
    drawing = errors.__doc__ or ""
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, OAuthError)]
    assert len(classes) > 15
    assert [c.__name__ for c in classes if c.__name__ not in drawing] == []
