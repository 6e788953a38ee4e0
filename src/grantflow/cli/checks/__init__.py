"""What `grantflow doctor` looks at: each check finds one thing, and what to do where it is not well. None changes a
grant, and none sends a token or a code of anybody's.
"""
