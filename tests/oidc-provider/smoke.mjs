// Checks the test issuer by itself: `node smoke.mjs`. Each mode is started, logged in to and asked.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

let passed = 0;

async function withIssuer(args, check) {
  const child = spawn(process.execPath, [new URL('server.mjs', import.meta.url).pathname, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    const { issuer } = JSON.parse(line);
    const post = async (path, body) => {
      const response = await fetch(issuer + path, { method: 'POST', body: JSON.stringify(body) });
      assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`);
      return response.json();
    };
    await check({ issuer, post });
    passed += 1;
    console.log(`ok: ${args.join(' ') || 'defaults'}`);
  } finally {
    child.kill();
    await once(child, 'exit');
  }
}

const payload = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));
const header = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[0], 'base64url'));
const userinfo = (issuer, token) => fetch(`${issuer}/me`, { headers: { authorization: `Bearer ${token}` } });
const jwks = async (issuer) => (await (await fetch(`${issuer}/jwks`)).json()).keys;

await withIssuer([], async ({ issuer, post }) => {
  const tokens = await post('/test/login', { account: 'mary' });
  assert.equal(tokens.access_token.split('.').length, 1);
  const claims = await (await userinfo(issuer, tokens.access_token)).json();
  assert.deepEqual([claims.sub, claims.roles], ['sub-mary', ['opencloudUser', 'ocisUser']]);

  const basic = Buffer.from('gateway:gateway-secret').toString('base64');
  const introspected = await fetch(`${issuer}/token/introspection`, {
    method: 'POST',
    headers: { authorization: `Basic ${basic}` },
    body: new URLSearchParams({ token: tokens.access_token }),
  });
  assert.equal((await introspected.json()).active, true);

  const renewed = await post('/test/refresh', { refresh_token: tokens.refresh_token });
  assert.notEqual(renewed.access_token, tokens.access_token);

  const agent = await post('/test/login', { client: 'oidc-agent' });
  assert.ok(agent.refresh_token);

  const stats = await (await fetch(`${issuer}/test/stats`)).json();
  assert.equal(stats['/me'], 1);
});

await withIssuer(['--tokens', 'jwt', '--alg', 'ES256'], async ({ issuer, post }) => {
  const before = await post('/test/login', { account: 'alan' });
  assert.equal(header(before.access_token).typ, 'at+jwt');
  assert.equal(header(before.access_token).alg, 'ES256');
  assert.equal(payload(before.access_token).preferred_username, 'alan');

  const { kids } = await post('/test/rotate', { keep: true });
  const published = (await jwks(issuer)).map((key) => key.kid);
  assert.ok(published.includes(kids[0]) && published.includes(header(before.access_token).kid));
  const after = await post('/test/login', { account: 'alan' });
  assert.equal(header(after.access_token).kid, kids[0]);

  await post('/test/rotate', {});
  assert.equal((await jwks(issuer)).some((key) => key.kid === kids[0]), false);
});

await withIssuer(['--userinfo', 'signed'], async ({ issuer, post }) => {
  const { access_token } = await post('/test/login', { account: 'grace' });
  const answer = await userinfo(issuer, access_token);
  assert.match(answer.headers.get('content-type'), /^application\/jwt/);
  assert.equal(payload(await answer.text()).sub, 'sub-grace');
});

await withIssuer(['--ttl', '60'], async ({ post }) => {
  let told;
  const logoutToken = new Promise((resolve) => { told = resolve; });
  const receiver = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    response.end();
    told(new URLSearchParams(body).get('logout_token'));
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  await post('/test/backchannel', { uri: `http://127.0.0.1:${receiver.address().port}/backchannel_logout` });
  const { login, expires_in } = await post('/test/login', { account: 'mary' });
  assert.equal(expires_in, 60);
  await post('/test/logout', { login });
  assert.equal(header(await logoutToken).typ, 'logout+jwt');
  assert.ok(payload(await logoutToken).sid);
  receiver.close();
});
console.log(`issuer: ${passed} passed, 0 failed`);
