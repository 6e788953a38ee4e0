// Everything in one table of PostgreSQL, through prepared statements: `pg` prepares a query that has a name.

import pg from "pg";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS oidc (
  key text PRIMARY KEY, payload jsonb NOT NULL, grant_id text, uid text, consumed_at bigint
);
CREATE INDEX IF NOT EXISTS oidc_grant ON oidc (grant_id);
CREATE INDEX IF NOT EXISTS oidc_uid ON oidc (uid);
`;
const UPSERT = `
INSERT INTO oidc (key, payload, grant_id, uid) VALUES ($1, $2, $3, $4)
ON CONFLICT (key) DO UPDATE SET payload = excluded.payload, grant_id = excluded.grant_id, uid = excluded.uid
`;
const FIND = "SELECT payload, consumed_at FROM oidc WHERE key = $1";
const FIND_BY_UID = "SELECT payload, consumed_at FROM oidc WHERE uid = $1 AND key LIKE $2";
const CONSUME = "UPDATE oidc SET consumed_at = $2 WHERE key = $1";
const DESTROY = "DELETE FROM oidc WHERE key = $1";
const REVOKE = "DELETE FROM oidc WHERE grant_id = $1";

export async function openPostgres(connectionString) {
  const pool = new pg.Pool({ connectionString, max: 16 });
  await pool.query(SCHEMA);
  const ask = (name, text, values) => pool.query({ name, text, values });
  const found = ({ rows: [row] }) => row && { ...row.payload, ...(row.consumed_at && { consumed: Number(row.consumed_at) }) };

  return class PostgresAdapter {
    constructor(name) { this.name = name; }

    #key(id) { return `${this.name}:${id}`; }

    async upsert(id, payload) {
      await ask("upsert", UPSERT, [this.#key(id), payload, payload.grantId ?? null, payload.uid ?? null]);
    }

    async find(id) { return found(await ask("find", FIND, [this.#key(id)])); }

    async findByUid(uid) { return found(await ask("uid", FIND_BY_UID, [uid, `${this.name}:%`])); }

    async findByUserCode() { return undefined; }

    async consume(id) { await ask("consume", CONSUME, [this.#key(id), Math.floor(Date.now() / 1000)]); }

    async destroy(id) { await ask("destroy", DESTROY, [this.#key(id)]); }

    async revokeByGrantId(grantId) { await ask("revoke", REVOKE, [grantId]); }
  };
}
