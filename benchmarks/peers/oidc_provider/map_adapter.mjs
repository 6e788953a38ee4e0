// Everything in memory, as lean as it can be: what expires is looked at, never swept.

const all = new Map();
const byUid = new Map();

export class MapAdapter {
  constructor(name) { this.name = name; }

  #key(id) { return `${this.name}:${id}`; }

  async upsert(id, payload) {
    all.set(this.#key(id), payload);
    if (payload.uid) byUid.set(payload.uid, id);
  }

  async find(id) { return all.get(this.#key(id)); }

  async findByUid(uid) { return this.find(byUid.get(uid)); }

  async findByUserCode() { return undefined; }

  async consume(id) { all.get(this.#key(id)).consumed = Math.floor(Date.now() / 1000); }

  async destroy(id) { all.delete(this.#key(id)); }

  async revokeByGrantId(grantId) {
    for (const [key, payload] of all) if (payload.grantId === grantId) all.delete(key);
  }
}
