"""The integration's own pages: landing page, redirect URI, granted, declined, went wrong, disconnect.

One ASGI app, by itself or mounted in any other::

    integration = AsyncIntegration(..., redirect_uri="https://app.example/webex/oauth")
    pages = integration_pages(integration, About("Lockbot", does="Lock spaces from wherever you are"))

    app.mount("/webex", pages)                       # Starlette, FastAPI
    uvicorn.run(pages, access_log=False)             # by itself, where the redirect URI is at the root
    grant = await pages.grant(request)               # in a page of the host's: whose browser is this?

Switch the server's own access log off or let it leave out queries: the redirect URI's holds the code (RFC 9700 4.3.1).
"""

try:
    from grantflow.client.pages.about import About
    from grantflow.client.pages.assembly import IntegrationPages, integration_pages
    from grantflow.client.pages.viewer import AskHost
    from grantflow.web.site import Link
except ModuleNotFoundError as error:
    if error.name is None or error.name.startswith("grantflow"):
        raise
    raise ImportError(
        'grantflow.client.pages needs more packages. Install them in a clone of Grantflow: pip install ".[pages]"'
    ) from error

__all__ = ["About", "AskHost", "IntegrationPages", "Link", "integration_pages"]
