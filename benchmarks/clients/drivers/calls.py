"""How the API is called with the two families of HTTP clients; the same for every driver."""

from typing import ClassVar


class NobodyIsThere(Exception):
    """The library wants a person to consent again. A service has no browser and nobody before it."""


class NoToken(Exception):
    """The library gave none, and says by its answer alone why; a call that needs one cannot be made."""


class ByRequests:
    """`session` is a requests.Session, or what is made like one."""

    options: ClassVar = {}

    def get(self):
        return self.session.get(self.api_url + "/me", **self.options).status_code

    def post(self, body):
        return self.session.post(self.api_url + "/upload", data=body, **self.options).status_code

    def multipart(self, file):
        return self.session.post(self.api_url + "/upload", files={"file": file}, **self.options).status_code


class ByHttpx:
    """`session` is an httpx.Client, or an httpx2.Client."""

    def get(self):
        return self.session.get(self.api_url + "/me").status_code

    def post(self, body):
        return self.session.post(self.api_url + "/upload", content=body).status_code

    def multipart(self, file):
        return self.session.post(self.api_url + "/upload", files={"file": file}).status_code
