// Who may log in, and through which clients. Tests change the accounts at run time by `POST /test/accounts`.

export const accounts = {
  alan: {
    preferred_username: 'alan',
    name: 'Alan Turing',
    email: 'alan@example.org',
    email_verified: true,
    roles: ['opencloudAdmin', 'ocisAdmin'],
    groups: ['machine-lovers', 'philosophy-haters'],
  },
  mary: {
    preferred_username: 'mary',
    name: 'Mary Kenneth Keller',
    email: 'mary@example.org',
    email_verified: true,
    roles: ['opencloudUser', 'ocisUser'],
    groups: ['machine-lovers'],
  },
  grace: {
    preferred_username: 'grace',
    name: 'Grace Hopper',
    email: 'grace@example.org',
    email_verified: true,
    roles: ['opencloudSpaceAdmin', 'ocisSpaceAdmin'],
    groups: [],
  },
  // Has no role that any mapping knows, and no groups claim at all.
  norole: {
    preferred_username: 'norole',
    name: 'No Role',
    email: 'norole@example.org',
    email_verified: true,
    roles: ['somebody'],
  },
};

const redirect = 'http://localhost:12345';

export const clients = {
  // A public client, as desktop and command line clients are: PKCE is what protects it.
  'davgate-test': {
    client_id: 'davgate-test',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    redirect_uris: [redirect, 'http://127.0.0.1/callback'],
  },
  // A single-page client; a loopback redirect may have any port (RFC 8252 section 7.3).
  web: {
    client_id: 'web',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/callback'],
  },
  // A client for the flows that give tokens at the authorization endpoint.
  'front-channel': {
    client_id: 'front-channel',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    redirect_uris: [redirect],
    grant_types: ['authorization_code', 'refresh_token', 'implicit'],
    response_types: ['code', 'id_token token', 'code token', 'code id_token', 'code id_token token'],
  },
  // oidc-agent 4 sends an Authorization header even when it has no secret, which is refused for a public client.
  'oidc-agent': {
    client_id: 'oidc-agent',
    client_secret: 'oidc-agent-secret',
    application_type: 'native',
    redirect_uris: [redirect, 'http://localhost:4242', 'http://localhost:8080'],
  },
  // The gateway itself, for introspection only.
  gateway: {
    client_id: 'gateway',
    client_secret: 'gateway-secret',
    redirect_uris: [],
    response_types: [],
    grant_types: [],
  },
};
