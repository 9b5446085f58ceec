// A server of the Model Context Protocol for `mcp.mjs`. Prints its port when it listens, and ends with its standard input.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';

const sessions = new Map();

function serverOfTools() {
  const server = new McpServer({ name: 'counting', version: '1' }, { capabilities: { logging: {} } });
  const text = (value) => ({ content: [{ type: 'text', text: String(value) }] });
  server.registerTool('add', { inputSchema: { a: z.number(), b: z.number() } }, ({ a, b }) => text(a + b));
  server.registerTool('count', { inputSchema: { to: z.number() } }, async ({ to }, { sendNotification }) => {
    for (let step = 1; step <= to; step += 1) {
      await sendNotification({ method: 'notifications/message', params: { level: 'info', data: step } });
    }
    return text(to);
  });
  return server;
}

async function transportOf(request) {
  const known = sessions.get(request.headers['mcp-session-id']);
  if (known) return known;
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  await serverOfTools().connect(transport);
  return transport;
}

const server = createServer(async (request, response) => (await transportOf(request)).handleRequest(request, response));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
