"""How grants end, in SQL that several stores share. Tokens and codes hang on their grant: whoever looks one up asks for
the grant's revoked_at, so all end in this row.
"""

END_ALL_OF_CLIENT = """
UPDATE grants SET revoked_at = :now, version = version + 1
WHERE client_id = :client_id AND revoked_at IS NULL
  AND EXISTS (SELECT 1 FROM people p WHERE p.id = grants.person_id AND p.org_id = :org_id)
RETURNING id
"""
