"""A storage service: who stores a file, or comments on one, tells a Webex space in their own name."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates

from grantflow import AsyncIntegration, Grant, GrantflowError, KeyRing, Status, open_vault
from grantflow.client.pages import About, Link, integration_pages

FILES, COMMENTS, TOLD, LARGEST_BODY = Path("files"), ".comments", ".told", 10_000_000
KEY = "GRANTFLOW_KEY_FILE" if os.environ.get("GRANTFLOW_KEY_FILE") else "GRANTFLOW_KEY"
NEEDED = ("GRANTFLOW_CLIENT_ID", "GRANTFLOW_CLIENT_SECRET", "GRANTFLOW_REDIRECT_URI", KEY, "STORAGE_SPACE")
if missing := [name for name in NEEDED if not os.environ.get(name)]:
    raise SystemExit(f"Not set: {', '.join(missing)}. README.md beside this program has the two lines that set them.")
SPACE, PLATFORM = os.environ["STORAGE_SPACE"], os.environ.get("GRANTFLOW_PLATFORM", "")
integration = AsyncIntegration(
    os.environ["GRANTFLOW_CLIENT_ID"],
    os.environ["GRANTFLOW_CLIENT_SECRET"],
    redirect_uri=os.environ["GRANTFLOW_REDIRECT_URI"],
    scopes="spark:people_read spark:rooms_read spark:messages_write",
    vault=open_vault(os.environ.get("GRANTFLOW_VAULT", "storage.db"), keys=KeyRing.from_env()),
    api_url=os.environ.get("GRANTFLOW_API_URL", "https://webexapis.com/v1"),
    revocation_url=os.environ.get("GRANTFLOW_REVOCATION_URL"),  # Webex documents none
)
HOME = urlsplit(integration.redirect_uri)
does, apps_url = "Your files tell your space what is new", os.environ.get("GRANTFLOW_CONNECTED_APPS_URL")
about = About("Shelf", does=does, lead=f"The space is called {SPACE}.", platform=PLATFORM, connected_apps_url=apps_url)
pages = integration_pages(integration, about, links=(Link("Your files", "/files"),), home="/files")
templates = Jinja2Templates(Path(__file__).parent)


def folder_of(grant: Grant) -> Path:
    (folder := FILES / quote(grant.person_id, safe="").replace(".", "%2E")).mkdir(parents=True, exist_ok=True)
    return folder


def is_name(name: str) -> bool:
    fits = name.isprintable() and len(name.encode()) <= 100  # on one line of a message, a page and TOLD
    return fits and "/" not in name and not name.startswith(".") and not name.endswith(COMMENTS)


def stored_in(folder: Path) -> dict[str, list[str]]:
    """Each file with the comments on it, which lie beside it, one a line."""
    return {name: lines(folder / (name + COMMENTS)) for name in sorted(os.listdir(folder)) if is_name(name)}


def lines(file: Path) -> list[str]:
    return file.read_text("utf-8", errors="replace").rstrip("\n").split("\n") if file.exists() else []


def news_of(folder: Path) -> Iterator[tuple[str, str]]:
    """All that there is to tell: a name for it, so that it is told once, and the words."""
    for name, comments in stored_in(folder).items():
        yield name, f"I stored {name}."
        yield from ((f"{name}/{number}", f"On {name}: {words}") for number, words in enumerate(comments))


async def tell_news(grant: Grant, folder: Path) -> None:
    known = lines(told := folder / TOLD)
    if not (news := [(name, words) for name, words in news_of(folder) if name not in known]):
        return
    async with integration.client_for(grant.person_id) as webex:
        rooms = (await webex.get("rooms", params={"max": 1000})).raise_for_status().json()["items"]
        room_id = {room["title"]: room["id"] for room in rooms}[SPACE]
        for name, words in news:
            (await webex.post("messages", json={"roomId": room_id, "text": words})).raise_for_status()
            with told.open("a", encoding="utf-8") as file:  # only now: rather told twice after a crash than not at all
                file.write(f"{name}\n")


async def watch() -> None:
    while True:
        try:
            grants = await integration.grants()
        except GrantflowError as error:  # the vault cannot be read just now
            grants = []
            print(f"Nobody's news can be told: {error}", flush=True)
        for grant in (each for each in grants if each.status is not Status.REVOKED):
            try:
                await tell_news(grant, folder_of(grant))
            except (GrantflowError, httpx2.HTTPError, OSError, KeyError, ValueError) as error:  # new in the next round
                print(f"{grant.called!r}: {error!r}", flush=True)
        await asyncio.sleep(1)


async def files(request: Request) -> Response:
    if (grant := await pages.grant(request)) is None or grant.status is Status.REAUTHORIZATION_REQUIRED:
        return RedirectResponse("/", status_code=303)
    folder = folder_of(grant)
    if request.method == "POST":
        if request.headers.get("origin") != f"{HOME.scheme}://{HOME.netloc}":
            raise HTTPException(403, "This form was sent from another site.")
        if not 0 < int(request.headers.get("content-length", 0)) <= LARGEST_BODY:
            raise HTTPException(413, "A file may have ten megabytes.")
        if "charset" in request.headers.get("content-type", "").lower():  # Starlette would take any codec, even slow
            raise HTTPException(415, "Forms are read as UTF-8 here.")
        async with request.form() as form:
            await store(form, folder)
        return RedirectResponse("/files", status_code=303)
    shown = {"stored": stored_in(folder), "folder": folder, "name": grant.called, "space": SPACE}
    return templates.TemplateResponse(request, "files.html", shown)


async def store(form: FormData, folder: Path) -> None:
    """A new file, or a comment on one that is there: never outside the person's own folder."""
    file, name, comment = form.get("file"), form.get("name"), " ".join(str(form.get("comment", ""))[:1000].split())
    if isinstance(file, UploadFile) and file.filename:
        if not is_name(file.filename):
            raise HTTPException(400, "Choose another name: short, on one line, without / or a leading dot.")
        (folder / file.filename).write_bytes(await file.read())
    elif comment and name in stored_in(folder):
        with (folder / f"{name}{COMMENTS}").open("a", encoding="utf-8") as comments:
            comments.write(f"{comment}\n")


@asynccontextmanager
async def running(_: Starlette) -> AsyncIterator[None]:
    async with integration:
        watching = asyncio.create_task(watch())
        yield
        watching.cancel()


app = Starlette(routes=[Route("/files", files, methods=["GET", "POST"]), Mount("/", pages)], lifespan=running)

if __name__ == "__main__":
    uvicorn.run(app, port=HOME.port or 8000, access_log=False)  # its log of requests would hold the codes
