"""The resource owner (RFC 6749 section 1.1): where a person signs in, is asked for consent, and takes it back.

`routes` is all that the composition root needs, with `TEMPLATES` among the folders of its `Pages`. What storage
must offer stands in `ports`, in the values of `records`.
"""

from grantflow.resource_owner.assembly import TEMPLATES, routes
from grantflow.resource_owner.settings import ResourceOwnerSettings

__all__ = ["TEMPLATES", "ResourceOwnerSettings", "routes"]
