// The npm client `webdav`, doing what applications do with it: `node webdav.mjs URL [TOKEN]`, one line an operation.
// What differs between two runs (times, tags, tokens of locks) is left out, so that two servers can be compared.

import { createHash, randomBytes } from 'node:crypto';
import { AuthType, createClient } from 'webdav';

const [url, token] = process.argv.slice(2);
const bearer = { authType: AuthType.Token, token: { access_token: token, token_type: 'Bearer' } };
const client = createClient(url, token ? bearer : { authType: AuthType.None });

async function step(name, act) {
  let outcome;
  try {
    outcome = await act();
  } catch (error) {
    outcome = { refused: error.status ?? String(error) };
  }
  console.log(name, JSON.stringify(outcome));
}

const facts = ({ filename, type, size, mime }) => ({ filename, type, size, mime });
const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');
const names = ['plain.txt', 'with blank.txt', 'Büro & Söhne.txt', '100%.txt', '50%25.txt', '#hash?.txt', "it's (1)+2;3.txt"];
const large = Buffer.alloc(8 << 20, 'davgate');

await step('compliance', async () => (await client.getDAVCompliance('/')).compliance.sort());
await step('missing', () => client.stat('/nothing'));
await step('nowhere', () => client.exists('/nothing'));
await step('mkdir', () => client.createDirectory('/folder'));
await step('mkdir again', () => client.createDirectory('/folder'));
await step('mkdir deep', () => client.createDirectory('/a/b/c', { recursive: true }));
for (const name of names) {
  await step(`put ${name}`, () => client.putFileContents(`/folder/${name}`, `content of ${name}`));
  await step(`get ${name}`, () => client.getFileContents(`/folder/${name}`, { format: 'text' }));
  await step(`stat ${name}`, async () => facts(await client.stat(`/folder/${name}`)));
}
await step('put once', () => client.putFileContents('/folder/plain.txt', 'other', { overwrite: false }));
await step('put into nothing', () => client.putFileContents('/nothing/plain.txt', 'x'));
await step('list', async () => (await client.getDirectoryContents('/folder')).map(facts));
await step('list deep', async () => (await client.getDirectoryContents('/', { deep: true })).map(facts));
await step('put large', () => client.putFileContents('/large.bin', large));
await step('get large', async () => hash(await client.getFileContents('/large.bin')) === hash(large));
await step('get range', async () => {
  const stream = client.createReadStream('/large.bin', { range: { start: 1000, end: 1999 } });
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return hash(Buffer.concat(pieces)) === hash(large.subarray(1000, 2000));
});
await step('stream up', () => new Promise((done, failed) => {
  const stream = client.createWriteStream('/streamed.bin', {}, (response) => done(response.status));
  stream.on('error', failed);
  stream.end(large.subarray(0, 1 << 20));
}));
await step('streamed', async () => facts(await client.stat('/streamed.bin')));
await step('copy', () => client.copyFile('/folder/with blank.txt', '/a/Büro copy.txt'));
await step('copy folder', () => client.copyFile('/folder', '/copied'));
await step('move', () => client.moveFile('/copied', '/moved %41'));
await step('list moved', async () => (await client.getDirectoryContents('/moved %41')).map(facts));
await step('move onto', () => client.moveFile('/large.bin', '/streamed.bin', { overwrite: false }));
await step('lock', async () => {
  const { token: lock } = await client.lock('/folder/plain.txt');
  const put = (headers) => client.putFileContents('/folder/plain.txt', 'x', { headers });
  const without = await put({}).catch((error) => error.status);
  const within = await put({ If: `(<${lock}>)` });
  const free = { method: 'UNLOCK', headers: { 'Lock-Token': `<${lock}>` } };
  return { without, within, freed: (await client.customRequest('/folder/plain.txt', free)).status, after: await put({}) };
});
await step('custom', async () => (await client.customRequest('/folder', { method: 'PROPFIND', headers: { Depth: '0' } })).status);
await step('delete', () => client.deleteFile('/moved %41'));
await step('delete again', () => client.deleteFile('/moved %41'));
await step('random', async () => {
  const bytes = randomBytes(1 << 16);
  await client.putFileContents('/random', bytes);
  return hash(await client.getFileContents('/random')) === hash(bytes);
});
await step('left', async () => (await client.getDirectoryContents('/')).map(facts));
