// The client of the Model Context Protocol's SDK, which finds its issuer by what the resource says of itself (RFC 9728):
// `node mcp.mjs URL [TOKEN]`, one line a step. Without a token it logs in.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { authorize } from '../oidc-provider/flow.mjs';

const [url, open] = process.argv.slice(2);
const redirectUrl = 'http://localhost:12345';
const kept = {};
const authProvider = {
  redirectUrl,
  clientMetadata: { redirect_uris: [redirectUrl], scope: 'openid profile email roles groups' },
  clientInformation: () => ({ client_id: 'davgate-test' }),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => Object.assign(kept, { tokens }),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => Object.assign(kept, { verifier }),
  redirectToAuthorization: async (request) => {
    request.searchParams.set('prompt', 'consent');
    request.searchParams.set('login_hint', 'mary');
    kept.answered = new URL(await authorize(request.href, redirectUrl));
  },
};
const say = (what, outcome) => console.log(what, JSON.stringify(outcome));

async function connect() {
  const transport = new StreamableHTTPClientTransport(new URL(url), open ? {} : { authProvider });
  const client = new Client({ name: 'davgate-test', version: '1' });
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    say('asked to log in', Boolean(kept.answered));
    await transport.finishAuth(kept.answered.searchParams.get('code'));
    return connect();
  }
  return { client, transport };
}

const { client, transport } = await connect();
say('server', client.getServerVersion());
say('tools', (await client.listTools()).tools.map(({ name }) => name));
const told = [];
client.fallbackNotificationHandler = async ({ method, params }) => told.push([method, params?.data]);
say('add', (await client.callTool({ name: 'add', arguments: { a: 19, b: 23 } })).content);
// Its answer is an event stream, with a message for each step.
say('count', (await client.callTool({ name: 'count', arguments: { to: 3 } })).content);
say('told', told);
say('unknown', (await client.callTool({ name: 'nothing', arguments: {} }).catch((error) => ({ refused: error.code }))).isError ?? 'refused');
say('session', typeof transport.sessionId);
await transport.terminateSession();
await client.close();
