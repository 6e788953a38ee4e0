"""Perform the steps of a flow, blocking or awaiting; the only folder of this half that knows the HTTP library.

Two small shells with the same functions, and for each an HTTP client whose calls carry the grant.
"""
