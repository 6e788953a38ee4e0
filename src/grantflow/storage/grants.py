"""How grants end, and when they were used, in SQL that several stores share.

Tokens and codes hang on their grant: whoever looks one up asks for the grant's revoked_at, so all end in this row.
"""

#: When an integration ``i`` was last used: by the grants that live, or else by those that have ended.
LAST_USE = """
coalesce((SELECT max(g.last_used_at) FROM grants g WHERE g.client_id = i.client_id AND g.revoked_at IS NULL),
         (SELECT max(g.last_used_at) FROM grants g WHERE g.client_id = i.client_id))
"""
END_ALL_OF_CLIENT = """
UPDATE grants SET revoked_at = :now, version = version + 1
WHERE client_id = :client_id AND revoked_at IS NULL
  AND EXISTS (SELECT 1 FROM people p WHERE p.id = grants.person_id AND p.org_id = :org_id)
RETURNING id
"""
