/** The Hub's cache between processes, and between flatrank and Python's huggingface_hub. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CrossEncoder, Retriever, SentenceTransformer } from 'flatrank';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { goldenDirectory } from '../golden/golden-directory.js';
import { neededFiles } from '../../dist/model/resolve.js';
import { commit, HubServer, sendBytes } from '../unit/hub-server.js';
import { expectCode } from '../unit/model-directories.js';

const run = promisify(execFile);
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const hubModule = fileURLToPath(new URL('../../dist/hub/index.js', import.meta.url));

/** The files of a directory, by their paths in it. */
async function filesIn(directory: string): Promise<Record<string, Buffer>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path.slice(directory.length + 1), await readFile(path)] as const)),
  );
}

/** The files of a tiny model. */
const golden = (name: string): Promise<Record<string, Buffer>> => filesIn(join(goldenDirectory, 'models', name));

/** A Hub and the environment that leads to it, with a home of its own; also for this process, until the test ends. */
async function hub(): Promise<{ server: HubServer; env: NodeJS.ProcessEnv; cache: string }> {
  const server = await HubServer.start();
  const { cache: home } = await server.settings();
  const set = { HF_ENDPOINT: server.endpoint, HF_HOME: home, HF_HUB_CACHE: undefined, HF_HUB_OFFLINE: undefined };
  for (const [name, value] of Object.entries(set)) vi.stubEnv(name, value);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  const env: NodeJS.ProcessEnv = { ...process.env, HF_HUB_DISABLE_XET: '1', HF_HUB_DISABLE_TELEMETRY: '1' };
  return { server, env, cache: join(home, 'hub') };
}

const downloader = `
import { downloadSnapshot } from ${JSON.stringify(hubModule)};
console.log(await downloadSnapshot('owner/large', { repoType: 'model' }));
`;
const download = ['--input-type=module', '--eval', downloader];
const large = { 'model.safetensors': Buffer.alloc(8_000_000, 'weights '), 'config.json': Buffer.from('{}') };

describe('processes that download the same at once', () => {
  it('transfer it once and see it whole', async () => {
    const { server, env } = await hub();
    server.repos['models/owner/large'] = { refs: { main: commit }, files: large };
    // Slow enough that all are there before the first has ended.
    server.fault = async (request, response, { origin }) => {
      if (origin !== 'cdn') return false;
      await new Promise((resolve) => setTimeout(resolve, 1500));
      sendBytes(request, response, large['model.safetensors']);
      return true;
    };
    const found = await Promise.all([1, 2, 3].map(() => run(process.execPath, download, { env })));
    expect(new Set(found.map(({ stdout }) => stdout)).size).toBe(1);
    const folder = found[0]!.stdout.trim();
    expect((await readFile(join(folder, 'model.safetensors'))).equals(large['model.safetensors'])).toBe(true);
    expect(server.requestsFor('model.safetensors').length).toBeLessThan(3);
    expect(await readdir(join(folder, '..', '..', 'blobs'))).toHaveLength(2);
  });

  it('go on with what a killed one left', async () => {
    const { server, env, cache } = await hub();
    server.repos['models/owner/large'] = { refs: { main: commit }, files: large };
    let stalled = false;
    server.fault = (_, response, { origin }) => {
      if (origin !== 'cdn' || stalled) return false;
      stalled = true;
      response.writeHead(200, { 'content-length': 8_000_000 });
      response.write(large['model.safetensors'].subarray(0, 5_000_000));
      return true;
    };
    const child = spawn(process.execPath, download, { env });
    const blobs = join(cache, 'models--owner--large', 'blobs');
    const unfinished = async (): Promise<void> => {
      const name = (await readdir(blobs)).find((n) => n.endsWith('.incomplete'));
      expect((await readFile(join(blobs, name!))).length).toBe(5_000_000);
    };
    await vi.waitFor(unfinished, { timeout: 30_000, interval: 50 });
    child.kill('SIGKILL');
    await once(child, 'exit');
    await run(process.execPath, download, { env });
    expect(server.requestsFor('model.safetensors').map(({ range }) => range)).toEqual([undefined, 'bytes=5000000-']);
    expect((await readdir(blobs)).filter((name) => name.endsWith('.incomplete'))).toEqual([]);
  });
});

describe('load() with a Hub id', () => {
  it('fetches what a sentence model needs and gives its embeddings, offline too', async () => {
    const { server } = await hub();
    const files = await golden('tiny-bert');
    const rest = {
      'README.md': Buffer.from('#'),
      'onnx/model_qint8.onnx': Buffer.alloc(9),
      'pytorch_model.bin': Buffer.alloc(9),
    };
    server.repos['models/sentence-transformers/tiny'] = { refs: { main: commit }, files: { ...files, ...rest } };
    const progress: number[] = [];
    await using model = await SentenceTransformer.load('tiny', { onProgress: ({ done }) => progress.push(done) });
    await using local = await SentenceTransformer.load(join(goldenDirectory, 'models', 'tiny-bert'));
    expect(await model.encode('a text')).toEqual(await local.encode('a text'));
    const asked = server.seen.map(({ url }) => decodeURIComponent(url));
    for (const name of [...Object.keys(rest), 'onnx/model.onnx'])
      expect(asked.filter((url) => url.includes(`/${name}`))).toEqual([]);
    expect(progress.length).toBeGreaterThan(2);
    expect(progress.at(-1)).toBe(1);

    vi.stubEnv('HF_HUB_OFFLINE', '1');
    server.seen.length = 0;
    await using offline = await SentenceTransformer.load('sentence-transformers/tiny');
    expect(offline.dimension).toBe(local.dimension);
    expect(server.seen).toEqual([]);
  });

  it('is what a store keeps of its model, with the commit', async () => {
    const { server, cache } = await hub();
    server.repos['models/owner/tiny'] = { refs: { main: commit }, files: await golden('tiny-bert') };
    const store = join(cache, '..', 'a.store');
    {
      await using encoder = await SentenceTransformer.load('owner/tiny');
      expect(encoder.source).toMatchObject({ model: 'owner/tiny', revision: commit });
      await using memory = await Retriever.create({ encoder });
      await memory.add(['a text', 'another']);
      await memory.save(store);
    }
    await rm(cache, { recursive: true });
    const progress: number[] = [];
    await using retriever = await Retriever.open(store, { onProgress: ({ done }) => progress.push(done) });
    expect((await retriever.search('a text', { k: 1 })).map(({ text }) => text)).toEqual(['a text']);
    expect(progress.length).toBeGreaterThan(2);
  });

  it('fetches shards under any names, and tells what it cannot read', async () => {
    const { server } = await hub();
    const { 'model.safetensors': weights, ...others } = await golden('tiny-bert');
    const rest = Object.fromEntries(Object.entries(others).filter(([name]) => !name.startsWith('onnx/')));
    const tensors = JSON.parse(weights!.toString('utf8', 8, 8 + Number(weights!.readBigUInt64LE()))) as object;
    const weight_map = Object.fromEntries(
      Object.keys(tensors)
        .filter((name) => name !== '__metadata__')
        .map((name) => [name, 'all.safetensors']),
    );
    const index = Buffer.from(JSON.stringify({ weight_map }));
    server.repos['models/owner/shards'] = {
      refs: { main: commit },
      files: { ...rest, 'all.safetensors': weights!, 'model.safetensors.index.json': index },
    };
    await using model = await SentenceTransformer.load('owner/shards');
    await using local = await SentenceTransformer.load(join(goldenDirectory, 'models', 'tiny-bert'));
    expect(await model.encode('a text')).toEqual(await local.encode('a text'));

    server.repos['models/owner/pickle'] = { refs: { main: commit }, files: { ...rest, 'pytorch_model.bin': weights! } };
    await expectCode(SentenceTransformer.load('owner/pickle'), 'ERR_NOT_FOUND', /only pytorch_model\.bin/);
    expect(server.seen.some(({ url }) => url.includes('/resolve/') && url.includes('pytorch_model'))).toBe(false);
  });

  it('fetches a cross-encoder, by its revision', async () => {
    const { server } = await hub();
    const files = await golden('tiny-bert-cross');
    server.repos['models/owner/cross'] = { refs: { main: 'e'.repeat(40), v1: commit }, files };
    await using model = await CrossEncoder.load('owner/cross', { revision: 'v1' });
    await using local = await CrossEncoder.load(join(goldenDirectory, 'models', 'tiny-bert-cross'));
    expect(await model.predict([['a', 'b']])).toEqual(await local.predict([['a', 'b']]));
    await expectCode(CrossEncoder.load('owner/cross', { revision: 'v2' }), 'ERR_NOT_FOUND', /RevisionNotFound/);
    await expectCode(CrossEncoder.load('owner/none'), 'ERR_NOT_FOUND', /owner\/none/);
    await expectCode(CrossEncoder.load('none'), 'ERR_NOT_FOUND', /none/);
  });

  it('is what the command line takes too', async () => {
    const { server, env, cache } = await hub();
    server.repos['models/sentence-transformers/tiny'] = { refs: { main: commit }, files: await golden('tiny-bert') };
    const out = join(cache, '..', 'converted');
    await run(process.execPath, [main, 'convert', 'tiny', '--out', out], { env });
    await using model = await SentenceTransformer.load(out);
    expect(model.dimension).toBe(32);
  });

  it('knows the files of a model', () => {
    const own = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'modules.json', '1_Pooling/config.json'];
    const other = ['README.md', 'vocab.txt', 'pytorch_model.bin', 'tf_model.h5', 'checkpoint-5/model.safetensors'];
    const onnx = ['onnx/model.onnx', 'onnx/model.onnx_data', 'onnx/model_O4.onnx', 'model.onnx'];
    const folders = ['', '1_Pooling', '2_Dense'];
    const needed = (...weights: string[]): string[] =>
      neededFiles([...own, ...other, ...weights], folders).filter((path) => !own.includes(path));
    expect(needed('model.safetensors', ...onnx)).toEqual(['model.safetensors']);
    expect(needed(...onnx)).toEqual(['onnx/model.onnx', 'onnx/model.onnx_data']);
    expect(needed('model.onnx')).toEqual(['model.onnx']);
    // Of an architecture that is not known only the ONNX file can be used.
    expect(neededFiles(['model.safetensors', 'onnx/model.onnx'], [''], false)).toEqual(['onnx/model.onnx']);
    expect(neededFiles(['model.safetensors'], [''], false)).toEqual(['model.safetensors']);
    const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    expect(needed(...shards, 'model.safetensors.index.json')).toEqual([...shards, 'model.safetensors.index.json']);
    const dense = ['2_Dense/config.json', '2_Dense/model.safetensors', '2_Dense/pytorch_model.bin'];
    expect(needed('model.safetensors', ...dense)).toEqual(['model.safetensors', ...dense.slice(0, 2)]);
    expect(neededFiles(own, folders)).toEqual(expect.arrayContaining(own));
    expect(
      neededFiles(['0_Transformer/config.json', '0_Transformer/model.safetensors', 'x/a.json'], ['0_Transformer']),
    ).toEqual(['0_Transformer/config.json', '0_Transformer/model.safetensors']);
  });
});

const python = process.env['FLATRANK_PYTHON'];
const hasPython = ((): boolean => {
  try {
    if (python === undefined) return false;
    execFileSync(python, ['-c', 'import huggingface_hub'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!hasPython)('Python’s huggingface_hub (skipped unless FLATRANK_PYTHON has it)', () => {
  const script = `
import sys, huggingface_hub
print(huggingface_hub.snapshot_download('owner/large'))
info = huggingface_hub.scan_cache_dir()
assert not info.warnings, info.warnings
(repo,) = info.repos
(revision,) = repo.revisions
assert repo.repo_id == 'owner/large' and revision.refs == {'main'}, info
assert {f.file_name for f in revision.files} == {'model.safetensors', 'config.json'}, revision.files
`;

  it('finds what flatrank has downloaded, and flatrank what it has', async () => {
    for (const flatrankFirst of [true, false]) {
      const { server, env, cache } = await hub();
      await mkdir(cache, { recursive: true });
      server.repos['models/owner/large'] = { refs: { main: commit }, files: large };
      const offline = { env: { ...env, HF_HUB_OFFLINE: '1' } };
      const commands = [
        [process.execPath, download],
        [python!, ['-c', script]],
      ] as const;
      const [first, second] = flatrankFirst ? commands : ([commands[1], commands[0]] as const);
      const { stdout: downloaded } = await run(first[0], first[1], { env });
      server.seen.length = 0;
      for (const [command, args] of [second, first]) {
        const { stdout } = await run(command, args, offline);
        expect(stdout).toBe(downloaded);
      }
      expect(server.seen).toEqual([]);
      await run(second[0], second[1], { env });
      expect(server.seen.filter(({ method, url }) => method === 'GET' && url.includes('/resolve/'))).toEqual([]);
    }
  });
});
