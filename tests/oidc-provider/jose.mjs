// What another JOSE library says of tokens: lines of {jwk, token} on standard input, and for each a line with the claims
// it reads from the token, or `null` if it refuses it.

import { createInterface } from 'node:readline';
import { compactVerify, importJWK } from 'jose';

const parse = (bytes) => JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));

async function claims({ jwk, token }) {
  try {
    const { alg } = parse(Buffer.from(token.split('.')[0], 'base64url'));
    const { payload } = await compactVerify(token, await importJWK(jwk, alg));
    return parse(payload);
  } catch {
    return null;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await claims(JSON.parse(line))));
}
