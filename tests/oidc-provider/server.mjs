// The certified `oidc-provider` as an issuer that davgate's tests drive over HTTP.
//
//   node server.mjs [--port 0] [--tokens opaque|jwt] [--userinfo json|signed] [--alg RS256] [--ttl 300] [--issuer URL]
//
// When it listens it prints one line of JSON with `issuer`, `port`, `clients` and `accounts`, and it ends on SIGTERM,
// SIGINT, or when its standard input closes (so that a test that dies takes it along). With --issuer it stands behind a
// proxy of that URL, and `port` is where the proxy finds it.
//
// Besides the endpoints of OpenID Connect it has, all answering JSON:
//   GET  /test/stats                 how often each endpoint was called
//   POST /test/login                 {account, client, scope, response_type}: a real login, by default the code flow with
//                                    PKCE; the token response, the front channel's answer, and a `login` id
//   POST /test/refresh               {refresh_token, client}
//   POST /test/revoke                {token, client}
//   POST /test/logout                {login}: the real RP-initiated logout, which sends back-channel logout tokens
//   POST /test/rotate                {keep}: new signing keys; the old ones stay published only with keep=true
//   POST /test/accounts              {account, claims}: replaces claims of an account, or makes a new one
//   POST /test/backchannel           {uri, session_required}: where logout tokens go

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { buildProvider, makeKeys } from './provider.mjs';
import { accounts, clients } from './fixtures.mjs';
import { endSession, login, refresh, revoke } from './flow.mjs';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    tokens: { type: 'string', default: 'opaque' },
    userinfo: { type: 'string', default: 'json' },
    alg: { type: 'string', default: 'RS256' },
    ttl: { type: 'string', default: '300' },
    issuer: { type: 'string' },
  },
});
for (const [name, allowed] of Object.entries({ tokens: ['opaque', 'jwt'], userinfo: ['json', 'signed'] })) {
  if (!allowed.includes(options[name])) {
    console.error(`--${name} is one of ${allowed.join(', ')}`);
    process.exit(2);
  }
}

const state = { keys: makeKeys(options.alg), retired: [], backchannel: undefined };
const stats = {};
const logins = new Map();
let handler;
let issuer;

// Keys and clients of a provider are fixed when it is made, so a change makes a new one. Tokens and sessions outlive
// it: the memory adapter keeps them in one place for the whole process.
function rebuild() {
  const provider = buildProvider({ issuer, options, state });
  const callback = provider.callback();
  handler = (request, response) => answerInteraction(provider, request, response) || callback(request, response);
}

// Stands for the login page: whoever `login_hint` names (alan, if nobody) logs in and consents to everything.
function answerInteraction(provider, request, response) {
  if (!request.url.startsWith('/interaction/')) return false;
  provider
    .interactionDetails(request, response)
    .then(async ({ prompt, params, session, grantId }) => {
      if (prompt.name === 'login') {
        const accountId = `sub-${accounts[params.login_hint] ? params.login_hint : 'alan'}`;
        return provider.interactionFinished(request, response, { login: { accountId } });
      }
      const grant = grantId
        ? await provider.Grant.find(grantId)
        : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
      const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
      if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
      if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
      for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
        grant.addResourceScope(resource, scopes.join(' '));
      }
      const consent = { grantId: await grant.save() };
      return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
    })
    .catch((error) => reply(response, 500, { error: String(error) }));
  return true;
}

const controls = {
  'GET /test/stats': async () => stats,
  'POST /test/login': async ({ account = 'alan', client = 'davgate-test', ...more }) => {
    const { tokens, front, cookies } = await login({ issuer, account, client: clients[client], ...more });
    const id = randomUUID();
    logins.set(id, { cookies, tokens });
    return { login: id, front, ...tokens };
  },
  'POST /test/refresh': async ({ refresh_token, client = 'davgate-test' }) =>
    refresh({ issuer, client: clients[client], refresh_token }),
  'POST /test/revoke': async ({ token, client = 'davgate-test' }) => {
    await revoke({ issuer, client: clients[client], token });
    return {};
  },
  'POST /test/logout': async ({ login }) => {
    const { cookies, tokens } = logins.get(login);
    await endSession({ issuer, cookies, id_token: tokens.id_token });
    logins.delete(login);
    return {};
  },
  'POST /test/rotate': async ({ keep = false }) => {
    state.retired = keep ? [...state.keys, ...state.retired] : [];
    state.keys = makeKeys(options.alg);
    rebuild();
    return { kids: state.keys.map((key) => key.kid) };
  },
  'POST /test/accounts': async ({ account, claims }) => {
    accounts[account] = { ...accounts[account], ...claims };
    return accounts[account];
  },
  'POST /test/backchannel': async (backchannel) => {
    state.backchannel = backchannel;
    rebuild();
    return {};
  },
};

function reply(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function bodyOf(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

const server = createServer(async (request, response) => {
  const path = request.url.split('?')[0];
  const control = controls[`${request.method} ${path}`];
  if (!control) {
    stats[path] = (stats[path] ?? 0) + 1;
    handler(request, response);
    return;
  }
  try {
    reply(response, 200, await control(await bodyOf(request)));
  } catch (error) {
    reply(response, 500, { error: String(error) });
  }
});

server.listen(Number(options.port), '127.0.0.1', () => {
  const { port } = server.address();
  issuer = options.issuer ?? `http://127.0.0.1:${port}`;
  rebuild();
  console.log(JSON.stringify({ issuer, port, clients, accounts: Object.keys(accounts) }));
});

const stop = () => process.exit(0);
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
process.stdin.on('end', stop).on('error', stop).resume();
