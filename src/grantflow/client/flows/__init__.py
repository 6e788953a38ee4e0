"""The conversations of the grant, each one generator of steps: start, finish, call, refresh, revoke.

Here is every decision and no I/O: `steps.py` says what a flow may ask for, `rules.py` what becomes of a grant.
"""
