"""Authlib's AsyncOAuth2Client (httpx2): as the other, with tasks for callers."""

import asyncio
from functools import partial

import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib_table import keep, load, updater

__all__ = ["Client", "keep"]

TLS = httpx2.create_ssl_context()  # made once: a process of its own is started from this one for each call


class Client:
    def __init__(self, place):
        self.api_url = place["api_url"]
        self.loop = asyncio.new_event_loop()
        update = updater(place)

        async def update_token(token, refresh_token=None, access_token=None):
            update(token, refresh_token=refresh_token, access_token=access_token)

        self.session = AsyncOAuth2Client(
            place["client_id"],
            place["client_secret"],
            token_endpoint=place["token_url"],
            token=load(place),
            update_token=update_token,
            timeout=30,
            verify=TLS,
        )

    def _status(self, call):
        return self.loop.run_until_complete(call).status_code

    def get(self):
        return self._status(self.session.get(self.api_url + "/me"))

    def post(self, body):
        if hasattr(body, "__next__"):  # a generator is an asynchronous one here
            body = _awaited(body)
        return self._status(self.session.post(self.api_url + "/upload", content=body))

    def multipart(self, file):
        return self._status(self.session.post(self.api_url + "/upload", files={"file": file}))

    def together(self, callers, times, ended):
        async def calls():
            made = (self.session.get(self.api_url + "/me") for _ in range(callers))
            return await asyncio.gather(*made, return_exceptions=True)

        answers = [answer for _ in range(times) for answer in self.loop.run_until_complete(calls())]
        return [ended(partial(_status_of, answer)) for answer in answers]


async def _awaited(pieces):
    for piece in pieces:
        yield piece


def _status_of(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer.status_code
