"""The look's own files, served below a path that names their content, so that browsers keep them for ever."""

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"


class Static:
    """All static files in memory (a few kilobytes), under one digest of them all.

    One digest for all keeps relative references between them right. A page of another version may ask for its own
    digest (two nodes during an upgrade): it gets what is here, but may not keep it.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.suffix in _TYPES}
        summed = hashlib.sha256()
        for name, content in self._files.items():
            summed.update(f"{name}\0{len(content)}\0".encode() + content)
        self.digest = summed.hexdigest()[:12]

    def path(self, name: str) -> str:
        """The path of one file below the app's mount prefix. Raises KeyError if there is none of that name."""
        self._files[name]
        return f"/static/{self.digest}/{name}"

    def route(self) -> Route:
        return Route("/static/{digest}/{name}", self._answer, methods=["GET"])

    async def _answer(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = self._files.get(name)
        if content is None:
            return Response("There is no such file.\n", status_code=404, media_type="text/plain")
        kept = _FOR_EVER if request.path_params["digest"] == self.digest else "no-cache"
        return Response(
            content,
            headers={
                "Content-Type": _TYPES[Path(name).suffix],
                "Cache-Control": kept,
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
            },
        )
