// npm's oidc-provider as it is released: rotation on (a token that is used twice ends the grant), its own sign-in and
// consent pages, userinfo and revocation. `node oidc_provider.mjs NODE_MODULES '{"client_id", "client_secret",
// "redirect_uri"}'` prints its issuer. Beside it an API that asks it about tokens, and below /control what the tests
// want to know and to have happen.

import { createServer } from "node:http";

const [modules, settings] = process.argv.slice(2);
const { default: Provider } = await import(`${modules}/oidc-provider/lib/index.js`);
const client = JSON.parse(settings);

const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", 1024, listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const kept = new Map();

class InMemory {
  constructor(name) { this.name = name; }
  #key(id) { return `${this.name}:${id}`; }
  async upsert(id, payload) { kept.set(this.#key(id), payload); }
  async find(id) { return kept.get(this.#key(id)); }
  async findByUid(uid) { return [...kept.values()].find((payload) => payload.kind === this.name && payload.uid === uid); }
  async findByUserCode() { return undefined; }
  async consume(id) { kept.get(this.#key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { kept.delete(this.#key(id)); }
  async revokeByGrantId(grantId) {
    for (const [key, payload] of kept) if (payload.grantId === grantId) kept.delete(key);
  }
}

function forget(...names) {
  for (const key of kept.keys()) if (names.some((name) => key.startsWith(`${name}:`))) kept.delete(key);
}

const provider = new Provider(issuer, {
  adapter: InMemory,
  clients: [{
    client_id: client.client_id, client_secret: client.client_secret, redirect_uris: [client.redirect_uri],
    grant_types: ["authorization_code", "refresh_token"],
  }],
  claims: { openid: ["sub"], profile: ["name"], email: ["email"] },
  cookies: { keys: ["a key of these tests alone"] },
  features: { revocation: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id, claims: () => ({ sub: id, name: id[0].toUpperCase() + id.slice(1), email: `${id}@example.org` }),
  }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 86400, Interaction: 600, RefreshToken: 86400, Session: 3600 },
});

const counts = { exchange: 0, refresh: 0, refused: 0, revoke: 0, api: 0 };
let losing = false;

provider.on("grant.success", (ctx) => {
  counts[ctx.oidc.params.grant_type === "refresh_token" ? "refresh" : "exchange"] += 1;
  if (losing) {
    losing = false;
    ctx.req.socket.destroy(); // the tokens are kept here, and their answer never arrives
  }
});
provider.on("grant.error", () => { counts.refused += 1; });
provider.on("server_error", (_, error) => console.error(error));

const answer = provider.callback();

const controls = {
  "/control/counts": () => counts,
  "/control/expire": () => forget("AccessToken"),
  "/control/end": () => forget("AccessToken", "RefreshToken", "Grant"),
  "/control/lose": () => { losing = true; },
};

async function api(request, response) {
  counts.api += 1;
  const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
  const found = token ? await provider.AccessToken.find(token) : undefined;
  response.writeHead(found ? 200 : 401, { "content-type": "application/json" });
  response.end(JSON.stringify(found ? { person: found.accountId } : { message: "The token is not valid." }));
}

server.on("request", (request, response) => {
  if (request.url in controls) {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(controls[request.url]() ?? {}));
  } else if (request.url.startsWith("/api/")) {
    api(request, response).catch((error) => { console.error(error); response.destroy(); });
  } else {
    if (request.url === "/token/revocation") counts.revoke += 1;
    answer(request, response);
  }
});
process.on("SIGTERM", () => process.exit(0));
console.log(JSON.stringify({ issuer, url: issuer }));
