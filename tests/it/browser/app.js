// A small single-page client: it finds its issuer and its client id, logs in with code and PKCE (RFC 7636), reads a
// protected file and listens to events. What happens goes to `result`, where the test looks.

window.result = { violations: [] };
addEventListener('securitypolicyviolation', (event) => result.violations.push(event.blockedURI));

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function json(url, init) {
  const response = await fetch(url, init);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.json();
}

async function authorize(issuer, client) {
  const [state, verifier] = [random(), random()];
  sessionStorage.setItem('login', JSON.stringify({ state, verifier }));
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)));
  location.assign(`${issuer.authorization_endpoint}?${new URLSearchParams({
    ...client,
    response_type: 'code',
    login_hint: 'mary',
    state,
    code_challenge: base64url(hash),
    code_challenge_method: 'S256',
  })}`);
}

async function listen(headers) {
  const events = await fetch('/events', { headers });
  const reader = events.body.getReader();
  result.events = new TextDecoder().decode((await reader.read()).value);
  try {
    while (!(await reader.read()).done);
    result.ended = 'closed';
  } catch {
    result.ended = 'cut';
  }
}

async function run() {
  const finger = await json(`/.well-known/webfinger?resource=${encodeURIComponent(location.origin)}&platform=web`);
  const issuer = await json('/.well-known/openid-configuration');
  const client = {
    client_id: finger.properties['http://opencloud.eu/ns/oidc/client_id'],
    scope: finger.properties['http://opencloud.eu/ns/oidc/scopes'].join(' '),
    redirect_uri: `${location.origin}/callback`,
  };
  const answer = new URLSearchParams(location.search);
  if (!answer.has('code')) {
    await authorize(issuer, client);
    return;
  }
  const { state, verifier } = JSON.parse(sessionStorage.getItem('login'));
  if (answer.get('state') !== state) throw new Error('another state');
  const tokens = await json(issuer.token_endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      ...client,
      grant_type: 'authorization_code',
      code: answer.get('code'),
      code_verifier: verifier,
    }),
  });
  result.logout = `${issuer.end_session_endpoint}?id_token_hint=${tokens.id_token}`;
  const headers = { authorization: `Bearer ${tokens.access_token}` };
  const status = async () => (await fetch('/files/a', { headers })).status;
  result.file = await (await fetch('/files/a', { headers })).text();
  await listen(headers);
  result.afterLogout = await status();
}

run().catch((error) => { result.error = String(error); });
