// openid-client, the certified relying party: `node openid.mjs ISSUER RESOURCE`, one line a step. The issuer's name is the
// gateway's, or its own for a run without the gateway.

import * as client from 'openid-client';
import { authorize } from '../oidc-provider/flow.mjs';

const [issuer, resource] = process.argv.slice(2);
const redirect_uri = 'http://127.0.0.1:12345/callback';
const plain = { execute: [client.allowInsecureRequests] };

async function step(name, act) {
  try {
    console.log(name, JSON.stringify(await act()));
  } catch (error) {
    const challenges = Array.isArray(error.cause) ? error.cause.map(({ scheme, parameters }) => [scheme, Object.keys(parameters)]) : error.code;
    console.log(name, JSON.stringify({ refused: error.name, challenges }));
  }
}

const fetchResource = async (token) => {
  const plainly = { [client.customFetch]: fetch };
  const response = await client.fetchProtectedResource(config, token, new URL(resource), 'GET', undefined, undefined, plainly);
  return [response.status, await response.text()];
};

const config = await client.discovery(new URL(issuer), 'web', undefined, client.None(), plain);
let tokens;
await step('discovery', () => config.serverMetadata().issuer === issuer);
await step('login', async () => {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()];
  const request = client.buildAuthorizationUrl(config, {
    redirect_uri,
    scope: 'openid offline_access profile email roles groups',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
    prompt: 'consent',
    login_hint: 'mary',
  });
  const answered = new URL(await authorize(request.href, redirect_uri));
  tokens = await client.authorizationCodeGrant(config, answered, { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true });
  return [tokens.token_type, tokens.claims().sub];
});
await step('userinfo', async () => (await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)).preferred_username);
await step('resource', () => fetchResource(tokens.access_token));
await step('refresh', async () => {
  tokens = { ...tokens, ...(await client.refreshTokenGrant(config, tokens.refresh_token)) };
  return fetchResource(tokens.access_token);
});
await step('rubbish', () => fetchResource('rubbish'));
await step('revocation', async () => (await client.tokenRevocation(config, tokens.access_token)) ?? 'done');
