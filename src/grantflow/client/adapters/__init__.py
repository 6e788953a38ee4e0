"""The living client in other people's libraries and frameworks, a small module for each.

None is loaded before it is imported, and each imports nothing but what it is named after:

- `httpx2`, `httpx`, `requests`, `aiohttp`: an HTTP client of one's own;
- `webexpythonsdk`, `wxc_sdk`: Webex's SDKs, unmodified;
- `flask`, `django`, `fastapi`: the consent pages, and the client of whoever sent a request;
- `prometheus`, `opentelemetry`: what it does, for those who watch it.

What the first two rows have in common is `Integration.calls_for`, and `grantflow.client.shells.calls` says how one more
is written.
"""
