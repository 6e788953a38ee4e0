"""The resource owner (RFC 6749 section 1.1): where a person signs in, is asked for consent, and revokes it.

`routes` is all that the composition root needs, with `TEMPLATES` among the folders of its `Pages`. What storage
must offer stands in `ports`, in the values of `records`. `SIGN_IN` and `CONSENT` are where an authorization request
comes for the person's part of it.
"""

from grantflow.resource_owner.assembly import TEMPLATES, routes
from grantflow.resource_owner.paths import ADMINISTRATION, CONNECTED_APPS, CONSENT, SIGN_IN, SIGN_OUT
from grantflow.resource_owner.settings import ResourceOwnerSettings

__all__ = [
    "ADMINISTRATION",
    "CONNECTED_APPS",
    "CONSENT",
    "SIGN_IN",
    "SIGN_OUT",
    "TEMPLATES",
    "ResourceOwnerSettings",
    "routes",
]
