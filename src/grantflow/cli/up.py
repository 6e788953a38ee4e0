"""`grantflow up`: platform and sample integration in one process, furnished and ready for a first grant."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from starlette.applications import Starlette

from grantflow.app import Storage, clock, integration, mint, platform
from grantflow.authorization_server import Settings
from grantflow.cli.output import Failure, say
from grantflow.cli.report import show
from grantflow.cli.starting import address, bind, open_browser, serve
from grantflow.data_directory import DataDirectory, DirectoryInUse, write_private
from grantflow.protocol.authorization import STATE_PLACEHOLDER, AuthorizationRequest, authorization_url
from grantflow.seeding import APP_DESCRIPTION, APP_NAME, Sandbox, furnish
from grantflow.serving import Listener
from grantflow.web.site import Site

PLATFORM_HOST = "127.0.0.1"
#: Another host than the platform's: browsers share cookies between the ports of one host.
INTEGRATION_HOST = "localhost"
