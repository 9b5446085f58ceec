// What a browser and a client do in a login, a refresh and a logout, over plain HTTP with a cookie jar.

import { createHash, randomBytes } from 'node:crypto';

const allScopes = 'openid offline_access profile email roles groups';

async function discover(issuer) {
  return (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
}

// The `Set-Cookie` lines one by one. Debian 12's Node 18 has no `getSetCookie` and joins them with commas, which
// stand inside `Expires` too: only a comma before a `name=` ends a line.
function setCookieLines(headers) {
  if (headers.getSetCookie) return headers.getSetCookie();
  return (headers.get('set-cookie') ?? '').split(/,\s*(?=[^;,=\s]+=)/).filter(Boolean);
}

// One request without following redirects; cookies go into and come from `cookies`.
async function visit(cookies, url, init = {}) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const response = await fetch(url, { redirect: 'manual', ...init, headers: { ...init.headers, cookie } });
  for (const line of setCookieLines(response.headers)) {
    const [pair] = line.split(';');
    const at = pair.indexOf('=');
    const value = pair.slice(at + 1);
    if (value) cookies.set(pair.slice(0, at), value);
    else cookies.delete(pair.slice(0, at));
  }
  return response;
}

function form(values) {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(values),
  };
}

async function requestTokens(endpoint, client, values) {
  const request = form({ client_id: client.client_id, ...values });
  if (client.client_secret) {
    const credential = Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64');
    request.headers.authorization = `Basic ${credential}`;
    request.body.delete('client_id');
  }
  const response = await fetch(endpoint, request);
  const body = await response.json();
  if (!response.ok) throw new Error(`token endpoint: ${response.status} ${JSON.stringify(body)}`);
  return body;
}

// What a browser does with an authorization request: follows it until it is sent to the client, whose URL this gives.
export async function authorize(start, redirect_uri, cookies = new Map()) {
  let url = start;
  for (let hops = 0; !url.startsWith(redirect_uri); hops += 1) {
    const response = await visit(cookies, url);
    const location = response.headers.get('location');
    if (!location || hops > 10) throw new Error(`${url}: ${response.status} ${await response.text()}`);
    url = new URL(location, url).href;
  }
  return url;
}

// A login at the authorization endpoint. `response_type` makes it the code flow (with PKCE, RFC 7636), the implicit flow
// or a hybrid one (OpenID Connect Core 3.2, 3.3); what came by the front channel is given back as `front`.
export async function login({ issuer, account, client, scope = allScopes, response_type = 'code' }) {
  const discovery = await discover(issuer);
  const cookies = new Map();
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const nonce = randomBytes(16).toString('base64url');
  const [redirect_uri] = client.redirect_uris;
  const withCode = response_type.split(' ').includes('code');
  const request = `${discovery.authorization_endpoint}?${new URLSearchParams({
    client_id: client.client_id,
    redirect_uri,
    response_type,
    scope,
    state,
    nonce,
    prompt: 'consent',
    login_hint: account,
    ...(withCode && {
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }),
  })}`;
  const url = await authorize(request, redirect_uri, cookies);
  const { search, hash } = new URL(url);
  const front = Object.fromEntries(new URLSearchParams(hash.slice(1) || search));
  if (front.state !== state || front.error) throw new Error(`authorization: ${search}${hash}`);
  const tokens = withCode
    ? await requestTokens(discovery.token_endpoint, client, {
        grant_type: 'authorization_code',
        code: front.code,
        redirect_uri,
        code_verifier: verifier,
      })
    : front;
  return { tokens, front, cookies };
}

export async function refresh({ issuer, client, refresh_token }) {
  const discovery = await discover(issuer);
  return requestTokens(discovery.token_endpoint, client, { grant_type: 'refresh_token', refresh_token });
}

export async function revoke({ issuer, client, token }) {
  const discovery = await discover(issuer);
  const response = await fetch(discovery.revocation_endpoint, form({ client_id: client.client_id, token }));
  if (!response.ok) throw new Error(`revocation: ${response.status} ${await response.text()}`);
}

export async function endSession({ issuer, cookies, id_token }) {
  const discovery = await discover(issuer);
  const page = await visit(cookies, `${discovery.end_session_endpoint}?id_token_hint=${id_token}`);
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(await page.text())?.[1];
  if (!xsrf) throw new Error(`no logout form in ${page.status}`);
  const done = await visit(cookies, `${discovery.end_session_endpoint}/confirm`, form({ xsrf, logout: 'yes' }));
  if (done.status >= 400) throw new Error(`logout: ${done.status} ${await done.text()}`);
}
