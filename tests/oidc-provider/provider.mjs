// One configured `oidc-provider` instance.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';
import { accounts, clients } from './fixtures.mjs';

const resource = 'urn:davgate';

// A key for the wanted algorithm, and an RSA key besides because ID tokens are RS256 unless a client says otherwise.
export function makeKeys(alg) {
  const jwk = (privateKey, name) => ({ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: name, kid: randomUUID() });
  const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
  const keys = [];
  if (curves[alg]) keys.push(jwk(generateKeyPairSync('ec', { namedCurve: curves[alg] }).privateKey, alg));
  else if (alg === 'EdDSA') keys.push(jwk(generateKeyPairSync('ed25519').privateKey, alg));
  else if (alg !== 'RS256') keys.push(jwk(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, alg));
  keys.push(jwk(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, 'RS256'));
  return keys;
}

// Subjects are not names: `sub-mary` is mary.
const accountOf = (sub) => accounts[sub.slice('sub-'.length)];

export function buildProvider({ issuer, options, state }) {
  const ttl = Number(options.ttl);
  const signedUserinfo = options.userinfo === 'signed' ? { userinfo_signed_response_alg: options.alg } : {};
  const backchannel = state.backchannel && {
    backchannel_logout_uri: state.backchannel.uri,
    backchannel_logout_session_required: state.backchannel.session_required ?? true,
  };
  const interactive = {
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    ...signedUserinfo,
    ...backchannel,
  };

  // As Keycloak and others do, so that a logout by session finds its tokens.
  async function tokenClaims(token) {
    const session = token.sessionUid && (await provider.Session.findByUid(token.sessionUid));
    return { ...accountOf(token.accountId), sid: session?.sidFor(token.clientId) };
  }

  const provider = new Provider(issuer, {
    clients: Object.values(clients).map((client) => ({
      ...(client.redirect_uris.length ? interactive : {}),
      ...client,
    })),
    jwks: { keys: [...state.keys, ...state.retired] },
    findAccount: (ctx, sub) => accountOf(sub) && { accountId: sub, claims: async () => ({ sub, ...accountOf(sub) }) },
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      roles: ['roles'],
      groups: ['groups'],
    },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'roles', 'groups'],
    responseTypes: ['code', 'code id_token', 'code id_token token', 'code token', 'id_token token'],
    extraTokenClaims: async (ctx, token) => (token.accountId ? tokenClaims(token) : undefined),
    issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    pkce: { methods: ['S256'], required: (ctx, client) => client.clientAuthMethod === 'none' },
    // Single-page clients come from origins of their own.
    clientBasedCORS: () => true,
    cookies: { keys: ['davgate-test'] },
    ttl: { AccessToken: ttl, IdToken: ttl, Session: 86400, Grant: 86400, RefreshToken: 86400, Interaction: 600 },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
      jwtUserinfo: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      // A JWT access token exists in this provider only for a resource, and userinfo then refuses it.
      resourceIndicators: {
        enabled: options.tokens === 'jwt',
        defaultResource: async () => resource,
        useGrantedResource: async () => true,
        getResourceServerInfo: async () => ({
          scope: 'openid profile email roles groups',
          audience: resource,
          accessTokenTTL: ttl,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: options.alg } },
        }),
      },
    },
  });
  // What comes by way of a proxy is believed, and without one nothing sends such headers.
  provider.proxy = true;
  provider.on('server_error', (ctx, error) => console.error(error));
  return provider;
}
