/** The programs of examples/ and the demo, run as their users run them. */
import { execFile, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { existsSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Retriever, SentenceTransformer } from 'flatrank';
import { beforeAll, describe, expect, it } from 'vitest';
import { ask, tuneTo } from '../../examples/tune.js';
import { goldenDirectory } from '../golden/golden-directory.js';
import { questions, tinyBert } from '../unit/tune-data.js';
import { scratchFolder } from './run.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = scratchFolder();
const store = path.join(folder, 'store');
const cross = path.join(goldenDirectory, 'models/tiny-bert-cross');
const rows = questions(40);

beforeAll(async () => {
  await using encoder = await SentenceTransformer.load(tinyBert);
  await using retriever = await Retriever.create({ encoder });
  await retriever.add(rows.map(({ context }, i) => ({ id: `d${i}`, text: context })));
  await retriever.save(store);
});

function node(args: string[], env: Record<string, string> = {}): Promise<{ stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, env: { ...process.env, ...env } }, (_error, stdout, stderr) => {
      resolve({ stdout, stderr });
    });
  });
}

describe('examples/rag.mjs', () => {
  it('gives an OpenAI-compatible endpoint the passages that fit, and prints its answer', async () => {
    const seen: { url: string | undefined; authorization: string | undefined; body: any }[] = [];
    const endpoint = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      request.on('end', () => {
        const { url, headers } = request;
        seen.push({ url, authorization: headers.authorization, body: JSON.parse(text) });
        const choices = [{ message: { role: 'assistant', content: 'It is so [1].' } }];
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ choices }));
      });
    });
    await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
    const { port } = endpoint.address() as AddressInfo;
    const env = { OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1/`, OPENAI_API_KEY: 'key', CHAT_MODEL: 'some-model' };
    const run = (tokens: number, ...more: string[]) =>
      node(['examples/rag.mjs', store, tinyBert, rows[0]!.question, ...more], {
        ...env,
        CONTEXT_TOKENS: String(tokens),
      });
    const { stdout, stderr } = await run(120, cross);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^It is so \[1\]\.\n\nfrom \[1\] d\d+/);
    expect(seen[0]).toMatchObject({
      url: '/v1/chat/completions',
      authorization: 'Bearer key',
      body: { model: 'some-model', messages: [{ role: 'system' }, { role: 'user' }] },
    });
    const passagesOf = (i: number): string[] => seen[i]!.body.messages[1].content.match(/^\[\d+\] .*/gm) ?? [];
    expect(seen[0]!.body.messages[1].content).toContain(`Question: ${rows[0]!.question}`);
    await run(100_000);
    expect(passagesOf(1)).toHaveLength(10);
    expect(passagesOf(0).length).toBeGreaterThan(0);
    expect(passagesOf(0).length).toBeLessThan(10);
    await using encoder = await SentenceTransformer.load(tinyBert);
    const counts = await encoder.countTokens(passagesOf(0));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(120);
    endpoint.close();
    const failed = await run(120);
    expect(failed.stderr).toContain('fetch failed');
  });
});

describe('examples/server.mjs', () => {
  it('answers, refuses what is wrong, and ends when it is told to', async () => {
    const args = ['examples/server.mjs', store, cross];
    const child = spawn(process.execPath, args, { cwd: root, env: { ...process.env, PORT: '0' } });
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
    const url = await new Promise<string>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        const found = /http:\S+(?=,)/.exec(text);
        if (found) resolve(found[0]);
      });
    });
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ documents: 40 });
    const search = async (body: unknown): Promise<[number, any]> => {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      const response = await fetch(`${url}/search`, { method: 'POST', body: text });
      return [response.status, await response.json()];
    };
    const [status, { hits }] = await search({ query: rows[3]!.question, k: 3 });
    expect([status, hits.length, typeof hits[0].rerankScore]).toEqual([200, 3, 'number']);
    const [, plain] = await search({ query: rows[3]!.question, k: 2, rerank: false });
    expect(plain.hits.map((hit: any) => hit.rerankScore)).toEqual([undefined, undefined]);
    const wrong = ['{', {}, { query: '' }, { query: 'a', k: 0 }, { query: 'a', filter: 3 }, 'x'.repeat(100_000)];
    for (const body of wrong) expect((await search(body))[0]).toBe(400);
    expect((await fetch(`${url}/elsewhere`)).status).toBe(400);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});

describe('examples/tune.ts', () => {
  it('tunes and answers', async () => {
    const out = path.join(folder, 'tuned');
    const lines: string[] = [];
    const quick = { maxSteps: 2, batchSize: 8 };
    const options = { data: rows, model: tinyBert, out, biEncoder: quick, crossEncoder: quick };
    const report = await tuneTo(options, (line) => lines.push(line));
    expect(lines).toContainEqual(expect.stringMatching(/^fine-tuned: hit@1 0\.\d{3}, hit@10 /));
    expect(await ask(out, report, rows[0]!.question)).toHaveLength(3);
  });
});

describe('npm run demo', () => {
  it('shows three lines and two answers', async () => {
    const out = path.join(folder, 'demo');
    const { stdout } = await node(['scripts/demo.mjs', '--quick'], { FLATRANK_DEMO_OUT: out });
    for (const title of ['base', 'fine-tuned', 'fine-tuned, with rerank'])
      expect(stdout).toMatch(new RegExp(`^${title} +0\\.\\d{3} +0\\.\\d{3} +0\\.\\d{3} +\\d+\\.\\d ms$`, 'm'));
    expect(stdout.match(/^ {2}reranked$/gm)).toHaveLength(2);
    expect(existsSync(path.join(out, 'report.html'))).toBe(true);
  });

  it('has passages with two questions at least, in two languages', () => {
    const lines = readFileSync(path.join(root, 'demo/passages.jsonl'), 'utf8').trim().split('\n');
    const passages = lines.map((line) => JSON.parse(line));
    expect(passages.length).toBeGreaterThanOrEqual(300);
    expect(new Set(passages.map(({ id }) => id)).size).toBe(passages.length);
    expect(new Set(passages.map(({ text }) => text)).size).toBe(passages.length);
    for (const { lang, questions } of passages) {
      expect(['en', 'ko']).toContain(lang);
      expect(questions.length).toBeGreaterThanOrEqual(2);
    }
  });
});
