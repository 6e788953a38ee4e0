"""The developer portal: integrations are registered and looked after here, and found by people (RFC 6749 section 2)."""
