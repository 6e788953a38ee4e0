"""The integration: takes a person through the grant, keeps the grant alive, calls the API (RFC 6749's client)."""
