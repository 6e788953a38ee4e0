"""The developer portal: integrations are registered and looked after here, and found by people (RFC 6749 section 2).

`routes` is all that the composition root needs, with `TEMPLATES` among the folders of its `Pages`. What storage must
offer stands in `ports`, in the values of `records`; the rules that the command line shares are in `registration`.
"""

from grantflow.developer_portal.app_hub import icon_route
from grantflow.developer_portal.assembly import TEMPLATES, Ports, routes
from grantflow.developer_portal.paths import MY_APPS
from grantflow.developer_portal.settings import LINKS, AppKind, PortalSettings

__all__ = ["LINKS", "MY_APPS", "TEMPLATES", "AppKind", "PortalSettings", "Ports", "icon_route", "routes"]
