"""MSAL over the cache that msal-extensions adds, which several processes may share: it reads and writes by itself."""

import msal_application
from msal_extensions import FilePersistence, PersistedTokenCache


def cache(place):
    return PersistedTokenCache(FilePersistence(place["store"]))


def keep(place, tokens, code):
    msal_application.redeem(place, cache(place), code)


class Client(msal_application.Client):
    def opened(self, place):
        return cache(place)

    def save(self):
        """It has done so."""
