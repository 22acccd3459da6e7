// A search service over a store.
//   node examples/server.mjs STORE [CROSS_ENCODER]     PORT=8080 HOST=127.0.0.1
//   curl -s localhost:8080/search -d '{"query": "how do I undo a commit", "k": 3}'
// Models are loaded once. A client that goes away stops its search; SIGTERM lets running ones finish.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { CrossEncoder, FlatrankError, Retriever } from 'flatrank';

const limits = { bodyBytes: 64 * 1024, queryCharacters: 2000, k: 100 };

class BadRequest extends Error {}

async function bodyOf(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > limits.bodyBytes) throw new BadRequest(`a body is at most ${limits.bodyBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new BadRequest('the body is no JSON');
  }
}

function checked(body) {
  const { query, k = 10, filter, rerank = true } = body ?? {};
  if (typeof query !== 'string' || query.trim() === '' || query.length > limits.queryCharacters)
    throw new BadRequest(`query is a text of at most ${limits.queryCharacters} characters`);
  if (!Number.isInteger(k) || k < 1 || k > limits.k) throw new BadRequest(`k is an integer from 1 to ${limits.k}`);
  return { query, k, rerank, ...(filter === undefined ? {} : { filter }) };
}

const [store, cross] = process.argv.slice(2);
if (!store) throw new Error('usage: node examples/server.mjs STORE [CROSS_ENCODER]');
const crossEncoder = cross ? await CrossEncoder.load(cross) : undefined;
const retriever = await Retriever.open(store, { readOnly: true, ...(crossEncoder ? { crossEncoder } : {}) });

async function answer(request, signal) {
  if (request.method === 'GET' && request.url === '/health') return { documents: retriever.size };
  if (request.method !== 'POST' || request.url !== '/search') throw new BadRequest('POST /search or GET /health');
  const { query, k, rerank, ...options } = checked(await bodyOf(request));
  const started = performance.now();
  const hits =
    crossEncoder && rerank
      ? await retriever.retrieve(query, { ...options, biK: Math.max(30, k), crossK: k, signal })
      : await retriever.search(query, { ...options, k, signal });
  return { hits, ms: Math.round(performance.now() - started) };
}

const server = createServer((request, response) => {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  answer(request, gone.signal).then(
    (result) => send(response, 200, result),
    (error) => {
      if (gone.signal.aborted) return;
      const known = error instanceof FlatrankError && error.code === 'ERR_INVALID_ARGUMENT';
      const status = error instanceof BadRequest || known ? 400 : 500;
      if (status === 500) console.error(error);
      send(response, status, { error: status === 500 ? 'internal error' : error.message, code: error.code });
    },
  );
});

function send(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

server.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? '127.0.0.1');
await once(server, 'listening');
console.log(`listening on http://127.0.0.1:${server.address().port}, ${retriever.size} documents`);

for (const signal of ['SIGTERM', 'SIGINT'])
  process.once(signal, async () => {
    server.close();
    server.closeIdleConnections();
    await once(server, 'close');
    await Promise.all([retriever.dispose(), crossEncoder?.dispose()]);
  });
