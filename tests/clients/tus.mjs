// tus-js-client, the resumable uploads of web clients: `node tus.mjs URL [TOKEN]`, one line an upload.

import { createHash } from 'node:crypto';
import { Upload } from 'tus-js-client';

const [endpoint, token] = process.argv.slice(2);
const headers = token ? { Authorization: `Bearer ${token}` } : {};
const content = Buffer.alloc(24 << 20, 'davgate-');

// Uploads to the end; `pauseAfter`: broken off after so many bytes, and resumed.
function upload(options, pauseAfter) {
  return new Promise((done) => {
    let paused = false;
    const seen = { requests: {} };
    const upload = new Upload(content, {
      endpoint,
      headers,
      retryDelays: [100, 100],
      metadata: { filename: 'Büro & 100%.bin' },
      ...options,
      onAfterResponse: (request, response) => {
        // How often each is asked depends on when the pause comes.
        seen.requests[`${request.getMethod()} ${response.getStatus()}`] = true;
      },
      onProgress: (sent) => {
        if (pauseAfter && !paused && sent > pauseAfter) {
          paused = true;
          upload.abort().then(() => upload.start());
        }
      },
      onError: (error) => done({ refused: error.originalResponse?.getStatus() ?? String(error) }),
      onSuccess: async () => {
        seen.below = upload.url.startsWith(endpoint);
        const head = await fetch(upload.url, { method: 'HEAD', headers: { ...headers, 'Tus-Resumable': '1.0.0' } });
        seen.offset = head.headers.get('upload-offset');
        const got = Buffer.from(await (await fetch(upload.url, { headers })).arrayBuffer());
        seen.same = createHash('sha1').update(got).digest('hex') === createHash('sha1').update(content).digest('hex');
        seen.requests = Object.keys(seen.requests).sort();
        await upload.abort(true);
        const gone = await fetch(upload.url, { method: 'HEAD', headers: { ...headers, 'Tus-Resumable': '1.0.0' } });
        seen.gone = gone.status;
        done(seen);
      },
    });
    upload.start();
  });
}

const say = (what, outcome) => console.log(what, JSON.stringify(outcome));
const options = await fetch(endpoint, { method: 'OPTIONS', headers });
say('options', [options.status, options.headers.get('tus-version'), options.headers.get('tus-extension')]);
say('one piece', await upload({}));
say('pieces', await upload({ chunkSize: 5 << 20 }));
say('with the creation', await upload({ uploadDataDuringCreation: true, chunkSize: 7 << 20 }));
say('length later', await upload({ uploadLengthDeferred: true, chunkSize: 8 << 20 }));
say('broken off', await upload({ chunkSize: 6 << 20 }, 9 << 20));
say('parallel', await upload({ parallelUploads: 3 }));
say('nowhere', await upload({ uploadUrl: `${endpoint}nothing`, endpoint: undefined }));
