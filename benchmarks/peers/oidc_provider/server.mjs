// node-oidc-provider as a peer: opaque tokens, PKCE optional, no rotation but where ROTATES is set, and a person who is
// signed in and has consented after their first request, without any page. `node server.mjs REDIRECT_URI [POSTGRES_URL]`
// prints its address. With a PostgreSQL it keeps everything there; without, in a plain Map (faster than its own memory
// adapter).

import { createServer } from "node:http";
import { MapAdapter } from "./map_adapter.mjs";
import { openPostgres } from "./postgres_adapter.mjs";
import Provider from "oidc-provider";

const [redirectUri, postgres] = process.argv.slice(2);
const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", 2048, listening));
const url = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(url, {
  adapter: postgres ? await openPostgres(postgres) : MapAdapter,
  clients: [{
    client_id: "bench", client_secret: "bench-secret-bench-secret-bench-secret",
    redirect_uris: [redirectUri], grant_types: ["authorization_code", "refresh_token"],
    token_endpoint_auth_method: "client_secret_post",
  }],
  cookies: { keys: ["a key of this benchmark alone"] },
  features: { devInteractions: { enabled: false } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: () => true,
  pkce: { required: () => false },
  rotateRefreshToken: Boolean(process.env.ROTATES),
  scopes: ["openid", "offline_access"],
  ttl: { AccessToken: 1209600, AuthorizationCode: 300, RefreshToken: 7776000, Session: 86400, Grant: 7776000 },
});

let people = 0;

async function accept(request, response) {
  const { params, session } = await provider.interactionDetails(request, response);
  const accountId = session?.accountId ?? `person-${++people}`;
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope("openid offline_access");
  const result = { login: { accountId }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const answer = provider.callback();
server.on("request", (request, response) => {
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  return accept(request, response).catch((error) => { response.statusCode = 500; response.end(String(error.stack)); });
});
process.on("SIGTERM", () => process.exit(0));
console.log(JSON.stringify({ platform_url: url }));
