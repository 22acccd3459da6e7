import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, readdir, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { SentenceTransformer } from 'flatrank';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { downloadSnapshot, hubSettings, type DownloadOptions } from '../../dist/hub/index.js';
import { retryAfterMsOf } from '../../dist/hub/http.js';
import { native } from '../../dist/native.js';
import { blobName, commit, cutAfter, HubServer, refuse, type Fault } from './hub-server.js';
import { expectCode } from './model-directories.js';

/** Bytes that look random and are always the same. */
const bytes = (seed: string, length: number): Buffer =>
  Buffer.concat(
    Array.from({ length: Math.ceil(length / 32) }, (_, i) => createHash('sha256').update(`${seed} ${i}`).digest()),
  ).subarray(0, length);

const id = 'owner/tiny.model_1';
const files = {
  'config.json': Buffer.from('{"a": 1}'),
  'README.md': Buffer.from('# '),
  'empty.txt': Buffer.alloc(0),
  'sub folder/vocab #1.txt': Buffer.from('한국어'),
  'model.safetensors': bytes('weights', 300_000),
};
type Name = keyof typeof files;

async function hub(): Promise<{
  server: HubServer;
  folder: string;
  blobs: () => Promise<string[]>;
  download: (o?: Partial<DownloadOptions>) => Promise<string>;
}> {
  const server = await HubServer.start();
  server.repos[`models/${id}`] = { refs: { main: commit, v1: 'd'.repeat(40) }, files };
  const settings = await server.settings();
  const folder = join(settings.cache, 'models--owner--tiny.model_1');
  return {
    server,
    folder,
    blobs: async () => (await readdir(join(folder, 'blobs')).catch(() => [])).sort(),
    download: (o = {}) => downloadSnapshot(id, { repoType: 'model', settings, ...o }),
  };
}

/** A fault in the transfer of the large file: the nth request for it is answered by the nth function, later ones well. */
function faults(...answers: ((...a: Parameters<Fault>) => unknown)[]): Fault {
  let n = 0;
  return (request, response, seen) => {
    const answer = seen.origin === 'cdn' ? answers[n++] : undefined;
    answer?.(request, response, seen);
    return answer !== undefined;
  };
}

const weights = files['model.safetensors'];
const cut =
  (count: number): Fault =>
  (request, response) => {
    cutAfter(request, response, weights, count);
    return true;
  };
const send =
  (sent: Buffer): Fault =>
  (_, response) => {
    response.writeHead(200).end(sent);
    return true;
  };

async function expectWhole(folder: string, names: readonly Name[] = Object.keys(files) as Name[]): Promise<void> {
  for (const name of names) expect((await readFile(join(folder, name))).equals(files[name])).toBe(true);
}

describe('a snapshot', () => {
  it('lies in the layout of huggingface_hub', async () => {
    const { download, folder, blobs, server } = await hub();
    const snapshot = await download();
    expect(snapshot).toBe(join(folder, 'snapshots', commit));
    await expectWhole(snapshot);
    expect(await blobs()).toEqual(Object.values(files).map(blobName).sort());
    expect(await readFile(join(folder, 'refs', 'main'), 'utf8')).toBe(commit);
    expect(await readlink(join(snapshot, 'config.json'))).toBe(`../../blobs/${blobName(files['config.json'])}`);
    expect(await readlink(join(snapshot, 'sub folder', 'vocab #1.txt'))).toMatch(/^\.\.\/\.\.\/\.\.\/blobs\//);
    const tree = JSON.parse(await readFile(join(folder, 'trees', `${commit}.json`), 'utf8'));
    expect(tree.format_version).toBe(1);
    expect(tree.files['model.safetensors']).toMatchObject({ lfs_sha256: blobName(weights), lfs_size: 300_000 });

    // Again: one question what `main` is, and nothing for a commit, which cannot have changed.
    server.seen.length = 0;
    await download();
    expect(server.seen.map(({ url }) => url.split('?')[0])).toEqual([`/api/models/${id}/revision/main`]);
    expect(await download({ revision: commit })).toBe(snapshot);
    expect(server.seen).toHaveLength(1);
  });

  it('is of a revision, and moves with its branch', async () => {
    const { download, folder, server } = await hub();
    expect(await download({ revision: 'v1', include: (path) => path === 'config.json' })).toBe(
      join(folder, 'snapshots', 'd'.repeat(40)),
    );
    await download();
    server.repos[`models/${id}`]!.refs['main'] = 'e'.repeat(40);
    server.seen.length = 0;
    await expectWhole(await download());
    expect(server.requestsFor('model.safetensors')).toHaveLength(0); // its blob was there
    expect(await readFile(join(folder, 'refs', 'main'), 'utf8')).toBe('e'.repeat(40));
    await expectCode(download({ revision: 'nope' }), 'ERR_NOT_FOUND', /RevisionNotFound/);
  });

  it('has the files that are asked for, of a listing of many pages, with progress in bytes', async () => {
    const { download, blobs, server } = await hub();
    server.pageSize = 2;
    const progress: { done: number; total: number }[] = [];
    const wanted = ['config.json', 'model.safetensors'] as const;
    const total = 300_000 + files['config.json'].length;
    const snapshot = await download({
      include: (path) => wanted.includes(path as (typeof wanted)[number]),
      onProgress: (p) => progress.push(p),
    });
    await expectWhole(snapshot, wanted);
    expect(await blobs()).toHaveLength(2);
    expect(progress[0]).toEqual({ done: 0, total });
    expect(progress.at(-1)).toEqual({ done: total, total });
    const done = progress.map((p) => p.done);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
  });

  it('of a dataset', async () => {
    const { server } = await hub();
    server.repos['datasets/squad'] = { refs: { main: commit }, files };
    const settings = await server.settings();
    const snapshot = await downloadSnapshot('squad', { repoType: 'dataset', settings });
    expect(snapshot).toBe(join(settings.cache, 'datasets--squad', 'snapshots', commit));
    await expectWhole(snapshot);
  });

  it('mends a link that leads nowhere and a blob that was cut short', async () => {
    const { download, folder } = await hub();
    const snapshot = await download();
    await rm(join(folder, 'blobs', blobName(files['config.json'])));
    await writeFile(join(folder, 'blobs', blobName(weights)), weights.subarray(0, 1000));
    await download();
    await expectWhole(snapshot);
  });

  it('refuses names that are none', async () => {
    const { download } = await hub();
    for (const bad of ['', '../x', 'a/b/c', '/a', 'a/', 'a--b/c', 'a..b', 'https://x', 'a b'])
      await expectCode(downloadSnapshot(bad, { repoType: 'model' }), 'ERR_INVALID_ARGUMENT', /id/);
    for (const revision of ['', '../../x', 'a/../b', '/x', 'a b', 'x?y'])
      await expectCode(download({ revision }), 'ERR_INVALID_ARGUMENT', /revision/);
  });
});

describe('a transfer that breaks', () => {
  it('goes on where the connection was cut, as often as it gets further', async () => {
    const { download, server, blobs } = await hub();
    server.fault = faults(...Array.from({ length: 9 }, () => cut(30_000)));
    await expectWhole(await download());
    const ranges = server.requestsFor('model.safetensors').map(({ range }) => range);
    expect(ranges).toHaveLength(10);
    expect(ranges[0]).toBeUndefined();
    for (const [i, range] of ranges.slice(1).entries()) expect(range).toBe(`bytes=${(i + 1) * 30_000}-`);
    expect(await blobs()).toHaveLength(5);
  });

  it('begins again where the server knows no ranges, or not this one', async () => {
    for (const answer of [
      send(weights),
      ((_, response) => {
        response.writeHead(416).end();
        return true;
      }) as Fault,
    ]) {
      const { download, server, blobs } = await hub();
      server.fault = faults(cut(100_000), answer);
      await expectWhole(await download());
      expect(await blobs()).toHaveLength(5);
    }
  });

  it('is tried again after 500, 503 and 429, and given up after five times in a row', async () => {
    const { download, server } = await hub();
    const failed = new Map<string, number>();
    server.fault = (_, response, { url }) => {
      const n = failed.get(url) ?? 0;
      failed.set(url, n + 1);
      const status = [500, 503, 429][n];
      if (status !== undefined) response.writeHead(status, { 'retry-after': '0' }).end();
      return status !== undefined;
    };
    await expectWhole(await download());
    const fresh = await hub();
    let requests = 0;
    fresh.server.fault = (_, response) => {
      requests++;
      response.writeHead(502).end();
      return true;
    };
    await expectCode(fresh.download(), 'ERR_HUB', /502/);
    expect(requests).toBe(5);
  });

  it('of other bytes of the same number is refused, and leaves nothing', async () => {
    const { download, server, blobs, folder } = await hub();
    server.fault = faults(send(bytes('other', weights.length)));
    await expectCode(download(), 'ERR_HUB', /model\.safetensors.*hash/);
    expect(await blobs()).not.toContain(blobName(weights));
    expect((await blobs()).filter((name) => name.endsWith('.incomplete'))).toEqual([]);
    expect(await readdir(join(folder, 'snapshots', commit))).not.toContain('model.safetensors');
    await expectWhole(await download());
  });

  it('of other bytes of a small file is refused by its git id', async () => {
    const { download, server } = await hub();
    server.fault = (_, response, { url }) => {
      if (!url.endsWith('config.json')) return false;
      response.end('{"a": 2}');
      return true;
    };
    await expectCode(download(), 'ERR_HUB', /config\.json.*hash/);
  });

  it('of more bytes is refused before they are stored, of fewer tried again', async () => {
    const { download, server, blobs } = await hub();
    server.fault = faults(send(Buffer.concat([weights, weights])));
    await expectCode(download(), 'ERR_HUB', /more came/);
    expect((await blobs()).filter((name) => name.includes('incomplete'))).toEqual([]);
    server.fault = faults(send(weights.subarray(0, 1234)));
    await expectWhole(await download());
  });

  it('that stands still is cut and tried again', async () => {
    const { server } = await hub();
    const settings = await server.settings({ timeoutMs: 200 });
    server.fault = faults((_, response) => {
      response.writeHead(200, { 'content-length': weights.length });
      response.write(weights.subarray(0, 5000));
    });
    await expectWhole(await downloadSnapshot(id, { repoType: 'model', settings }));
    expect(server.requestsFor('model.safetensors')[1]?.range).toBe('bytes=5000-');
  });

  it('that is aborted rejects with the reason, and the next one goes on from there', async () => {
    const { download, server } = await hub();
    const reason = { why: 'no more' };
    const controller = new AbortController();
    server.fault = faults((_, response) => {
      response.writeHead(200, { 'content-length': weights.length });
      response.write(weights.subarray(0, 70_000));
    });
    const downloading = download({
      signal: controller.signal,
      onProgress: ({ done }) => {
        if (done >= 70_000) controller.abort(reason);
      },
    });
    await expect(downloading).rejects.toBe(reason);
    await expectWhole(await download());
    expect(server.requestsFor('model.safetensors')[1]?.range).toBe('bytes=70000-');
    await expect(download({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('is not led astray by an abandoned file of other bytes', async () => {
    const { download, folder, blobs } = await hub();
    await mkdir(join(folder, 'blobs'), { recursive: true });
    for (const [name, length] of [
      ['00000000', 1000],
      ['11111111', 400_000],
      ['22222222', 0],
    ] as const) {
      const path = join(folder, 'blobs', `${blobName(weights)}.${name}.incomplete`);
      await writeFile(path, bytes('other', length));
      await utimes(path, 0, 0);
    }
    await expectWhole(await download());
    expect(await blobs()).toHaveLength(5);
  });

  it.each(['with locks', 'without'])('waits for somebody else who downloads the same file, %s', async (locks) => {
    const { download, folder, server } = await hub();
    const blob = join(folder, 'blobs', blobName(weights));
    const release = locks === 'without' ? await noLocks(folder) : await holdLock(folder);
    await leave(folder, '0f0f0f0f', 1000);
    const downloading = download();
    await vi.waitFor(async () => {
      expect(await readdir(join(folder, 'snapshots', commit))).toHaveLength(4);
    });
    await writeFile(blob, weights);
    await rm(`${blob}.0f0f0f0f.incomplete`);
    await release();
    await expectWhole(await downloading);
    expect(server.requestsFor('model.safetensors')).toEqual([]);
  });
});

/** The lock file of the large file's blob. */
const lockOf = (folder: string): string =>
  join(dirname(folder), '.locks', 'models--owner--tiny.model_1', `${blobName(weights)}.lock`);

/** Holds the lock of the large file as huggingface_hub does. */
async function holdLock(folder: string): Promise<() => Promise<void>> {
  await mkdir(dirname(lockOf(folder)), { recursive: true });
  const file = await open(lockOf(folder), 'a');
  onTestFinished(() => file.close());
  expect(native().tryLock(file.fd)).toBe(true);
  return () => file.close();
}

/** A cache in which no lock can be had. */
async function noLocks(folder: string): Promise<() => Promise<void>> {
  await mkdir(dirname(folder), { recursive: true });
  await writeFile(join(dirname(folder), '.locks'), '');
  return () => Promise.resolve();
}

/** Leaves an unfinished file of the large one, last written to so many seconds ago. */
async function leave(folder: string, name: string, length: number, age = 0): Promise<string> {
  await mkdir(join(folder, 'blobs'), { recursive: true });
  const path = join(folder, 'blobs', `${blobName(weights)}.${name}.incomplete`);
  await writeFile(path, weights.subarray(0, length));
  const time = Date.now() / 1000 - age;
  await utimes(path, time, time);
  return path;
}

const now = performance.now.bind(performance);

/** Sets the monotonic clock forward by so many seconds, until the test ends. */
function pass(seconds: number): void {
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + 1000 * seconds);
  onTestFinished(() => {
    clock.mockRestore();
  });
}

describe('an unfinished file', () => {
  it.each([
    ['of a process that was killed', 'flatrank-0f0f0f0f', 0],
    ['of Python, when it was killed', '0f0f0f0f', 0],
    ['whose time is still to come', '0f0f0f0f', -100_000],
  ])('%s is gone on in at once, and in its place', async (_, name, age) => {
    const { download, folder, server, blobs } = await hub();
    const { ino } = await stat(await leave(folder, name, 70_000, age));
    await leave(folder, '11111111', 1000);
    await expectWhole(await download());
    expect(server.requestsFor('model.safetensors').map(({ range }) => range)).toEqual(['bytes=70000-']);
    expect((await stat(join(folder, 'blobs', blobName(weights)))).ino).toBe(ino); // a copy would need the space twice
    expect(await blobs()).toHaveLength(5);
  });

  it.each([
    ['of a process that is suspended', 'flatrank-0f0f0f0f', 20],
    ['of Python over a slow connection', '0f0f0f0f', 700],
  ])('%s is copied in the end, and left alone', async (_, name, seconds) => {
    const { download, folder, server } = await hub();
    await holdLock(folder);
    const path = await leave(folder, name, 70_000, 100_000);
    const downloading = download();
    await vi.waitFor(async () => {
      expect(await readdir(join(folder, 'snapshots', commit))).toHaveLength(4);
    });
    pass(name.startsWith('flatrank') ? 10 : 500);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(server.requestsFor('model.safetensors')).toEqual([]);
    pass(seconds);
    await expectWhole(await downloading);
    expect(server.requestsFor('model.safetensors').map(({ range }) => range)).toEqual(['bytes=70000-']);
    expect((await readFile(path)).equals(weights.subarray(0, 70_000))).toBe(true);
  });

  it.each([
    ['of ours, silent for long', 'flatrank-0f0f0f0f', 20, false],
    ['of Python, silent for long', '0f0f0f0f', 700, true],
    ['of Python, silent for days', '0f0f0f0f', 100_000, false],
  ])('%s, where there are no locks, is copied', async (_, name, age, kept) => {
    const { download, folder, server } = await hub();
    await noLocks(folder);
    const path = await leave(folder, name, 70_000, age);
    await expectWhole(await download());
    expect(server.requestsFor('model.safetensors').map(({ range }) => range)).toEqual(['bytes=70000-']);
    expect((await stat(path).catch(() => undefined)) !== undefined).toBe(kept);
  });

  it('whose time is to come is watched, where there are no locks', async () => {
    const { download, folder } = await hub();
    await noLocks(folder);
    await leave(folder, 'flatrank-0f0f0f0f', 70_000, -100_000);
    const downloading = download();
    await vi.waitFor(async () => {
      expect(await readdir(join(folder, 'snapshots', commit))).toHaveLength(4);
    });
    pass(20);
    await expectWhole(await downloading);
  });

  it.each([true, false])(
    'that somebody took over is done where the blob is there, else begun again: %s',
    async (there) => {
      const { download, folder, server, blobs } = await hub();
      let taken = false;
      server.fault = async (_, __, { origin }) => {
        if (origin !== 'cdn' || taken) return false;
        taken = true;
        const name = (await blobs()).find((other) => other.startsWith(`${blobName(weights)}.`))!;
        await rm(join(folder, 'blobs', name));
        if (there) await writeFile(join(folder, 'blobs', blobName(weights)), weights);
        return false;
      };
      await expectWhole(await download());
      expect(server.requestsFor('model.safetensors')).toHaveLength(there ? 1 : 2);
      expect(await blobs()).toHaveLength(5);
    },
  );

  it('is not shared by two downloads of one process', async () => {
    const { download, server } = await hub();
    const found = await Promise.all([download(), download(), download()]);
    await expectWhole(found[0]);
    expect(server.requestsFor('model.safetensors')).toHaveLength(1);
  });
});

describe('a cache that cannot be written to', () => {
  it('is named, and is no model that is not there', async () => {
    const { server } = await hub();
    const { cache } = await server.settings();
    await writeFile(join(cache, 'file'), '');
    const below = await server.settings({ cache: join(cache, 'file', 'hub') });
    await expectCode(downloadSnapshot(id, { repoType: 'model', settings: below }), 'ERR_IO', /file.*writable.*ENOTDIR/);
    // What a cached snapshot lacks is not said to be missing from the Hub.
    const settings = await server.settings();
    const old = { repoType: 'model', settings, include: (path: string) => path === 'config.json' } as const;
    await downloadSnapshot(id, old);
    server.repos[`models/${id}`]!.refs['main'] = 'e'.repeat(40);
    await mkdir(join(settings.cache, 'models--owner--tiny.model_1', 'trees', `${'e'.repeat(40)}.json`));
    await expectWhole(await downloadSnapshot(id, old), ['config.json']);
    await expectCode(downloadSnapshot(id, { repoType: 'model', settings }), 'ERR_IO', /README.*writable/);
  });

  it('is not the next name’s fault', async () => {
    const { server } = await hub();
    const { cache } = await server.settings();
    await writeFile(join(cache, 'file'), '');
    server.repos['models/sentence-transformers/tiny'] = { refs: { main: commit }, files };
    const set = { HF_ENDPOINT: server.endpoint, HF_HUB_CACHE: join(cache, 'file', 'hub'), HF_HUB_OFFLINE: undefined };
    for (const [name, value] of Object.entries(set)) vi.stubEnv(name, value);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    await expectCode(SentenceTransformer.load('tiny'), 'ERR_IO', /writable/);
  });
});

it('waits as long as a server asks', () => {
  const asked = (headers: Record<string, string>): number => retryAfterMsOf(new Headers(headers));
  expect(asked({})).toBe(0);
  expect(asked({ 'retry-after': '2' })).toBe(2000);
  expect(asked({ 'retry-after': '1000000' })).toBe(300_000);
  for (const bad of ['-1', 'soon', '', new Date(0).toUTCString()]) expect(asked({ 'retry-after': bad })).toBe(0);
  const date = asked({ 'retry-after': new Date(Date.now() + 60_000).toUTCString() });
  expect(date).toBeGreaterThan(55_000);
  expect(date).toBeLessThanOrEqual(60_000);
  expect(asked({ ratelimit: '"api";r=0;t=12' })).toBe(12_000);
  expect(asked({ ratelimit: '"api"; r=0; t=12' })).toBe(12_000);
  expect(asked({ ratelimit: '"api";r=7;t=12' })).toBe(0);
});

describe('the token', () => {
  it('goes to the Hub and to no other origin', async () => {
    const { server } = await hub();
    server.token = 'hf_secret';
    const settings = await server.settings({ token: 'hf_secret' });
    await expectWhole(await downloadSnapshot(id, { repoType: 'model', settings }));
    const sent = (origin: string): Set<string | undefined> =>
      new Set(server.seen.filter((s) => s.origin === origin).map((s) => s.authorization));
    expect(sent('hub')).toEqual(new Set(['Bearer hf_secret']));
    expect(sent('cdn')).toEqual(new Set([undefined]));
  });

  it('does not follow the next page of a listing to another origin', async () => {
    const { server } = await hub();
    const settings = await server.settings({ token: 'hf_secret' });
    server.fault = (_, response, { url }) => {
      if (!url.includes('/tree/')) return false;
      response.writeHead(200, { link: `<${server.cdn}/next>; rel="next"`, 'content-type': 'application/json' });
      response.end('[]');
      return true;
    };
    await expectCode(downloadSnapshot(id, { repoType: 'model', settings }), 'ERR_NOT_FOUND');
    expect(server.seen.filter(({ origin }) => origin === 'cdn').map((s) => s.authorization)).toEqual([undefined]);
  });

  it('is asked for where a repository is closed', async () => {
    const { server, download } = await hub();
    server.token = 'hf_secret';
    await expectCode(download(), 'ERR_NOT_FOUND', /HF_TOKEN/);
    server.fault = (_, response) => {
      refuse(response, 403, 'GatedRepo');
      return true;
    };
    await expectCode(download(), 'ERR_HUB', /GatedRepo.*ask for it/);
  });
});

describe('a Hub that is not to be believed', () => {
  const tree =
    (entries: unknown): Fault =>
    (_, response, { url }) => {
      if (!url.includes('/tree/')) return false;
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(entries));
      return true;
    };
  const entry = { type: 'file', oid: '0'.repeat(40), size: 1, path: 'a' };

  it.each([
    ['../../escape', { ...entry, path: '../../escape' }],
    ['an absolute path', { ...entry, path: '/etc/passwd' }],
    ['a backslash', { ...entry, path: 'a\\..\\b' }],
    ['a hash that is a path', { ...entry, oid: '../../../x' }],
    ['a negative size', { ...entry, size: -1 }],
    ['no size', { type: 'file', oid: '0'.repeat(40), path: 'a' }],
    ['a large file without a hash', { ...entry, lfs: { oid: 'x', size: 1 } }],
    ['no entries', 'text'],
    ['null', null],
    ['an object', {}],
  ])('%s', async (_, value) => {
    const { server, download, folder } = await hub();
    server.fault = tree(
      Array.isArray(value) || typeof value !== 'object' || !value ? value : 'oid' in value ? [value] : value,
    );
    await expectCode(download(), 'ERR_HUB');
    expect(await readdir(folder).catch(() => [])).toEqual([]);
  });

  it('answers that are not JSON, or of no repository', async () => {
    const { server, download } = await hub();
    for (const text of ['<html>', '{}', '{"sha": "../../x"}', 'null', '[']) {
      server.fault = (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' }).end(text);
        return true;
      };
      await expectCode(download(), 'ERR_HUB');
    }
  });

  it('an endpoint that nobody listens at', async () => {
    const { server } = await hub();
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await new Promise((resolve) => other.close(resolve));
    const settings = await server.settings({ endpoint: `http://127.0.0.1:${port}` });
    await expectCode(downloadSnapshot(id, { repoType: 'model', settings }), 'ERR_NOT_FOUND', /HF_HUB_OFFLINE/);
  });
});

describe('offline', () => {
  it('what is cached is there, and nothing is asked', async () => {
    const { server } = await hub();
    const settings = await server.settings();
    const online = { repoType: 'model', settings } as const;
    const offline = { ...online, settings: { ...settings, offline: true } };
    await expectCode(downloadSnapshot(id, offline), 'ERR_NOT_FOUND', /HF_HUB_OFFLINE/);
    const include = (path: string): boolean => path === 'config.json';
    const snapshot = await downloadSnapshot(id, { ...online, include });
    server.seen.length = 0;
    expect(await downloadSnapshot(id, { ...offline, include })).toBe(snapshot);
    expect(await downloadSnapshot(id, { ...offline, include, revision: commit })).toBe(snapshot);
    await expectCode(downloadSnapshot(id, offline), 'ERR_NOT_FOUND', /model\.safetensors/);
    await expectCode(downloadSnapshot(id, { ...offline, revision: 'v1' }), 'ERR_NOT_FOUND');
    expect(server.seen).toEqual([]);
  });

  it('and where the Hub fails', async () => {
    const { server, download } = await hub();
    const snapshot = await download();
    server.fault = (_, response) => {
      response.destroy();
      return true;
    };
    expect(await download()).toBe(snapshot);
  });
});

it('reads its settings from the environment', async () => {
  const { server } = await hub();
  const { cache } = await server.settings();
  await mkdir(join(cache, 'home'));
  await writeFile(join(cache, 'home', 'token'), 'hf_file\n');
  const home = join(cache, 'home');
  expect(await hubSettings({ HF_HOME: home })).toEqual({
    endpoint: 'https://huggingface.co',
    cache: join(home, 'hub'),
    token: 'hf_file',
    offline: false,
    timeoutMs: 10_000,
    retryDelayMs: 500,
  });
  const set = { HF_HOME: home, HF_HUB_CACHE: '/elsewhere', HF_ENDPOINT: 'http://mirror/', HF_TOKEN: ' hf_env ' };
  expect(await hubSettings({ ...set, HF_HUB_OFFLINE: '1' })).toMatchObject({
    endpoint: 'http://mirror',
    cache: '/elsewhere',
    token: 'hf_env',
    offline: true,
  });
  expect((await hubSettings({ ...set, HF_HUB_DISABLE_IMPLICIT_TOKEN: 'true' })).token).toBeUndefined();
  expect((await hubSettings({ XDG_CACHE_HOME: '/xdg' })).cache).toBe(join('/xdg', 'huggingface', 'hub'));
  // As in Python: ~, then variables; those not set stay.
  const places = { DD: home, HF_HOME: '$DD', HF_HUB_CACHE: '${DD}/c/$NONE/${NONE}', HF_TOKEN_PATH: '$DD/token' };
  expect(await hubSettings(places)).toMatchObject({ cache: `${home}/c/$NONE/\${NONE}`, token: 'hf_file' });
  expect(await hubSettings({ DD: home, HF_HOME: '$DD' })).toMatchObject({ cache: join(home, 'hub'), token: 'hf_file' });
  expect((await hubSettings({ HF_HOME: '~/x' })).cache).toBe(join(homedir(), 'x', 'hub'));
  await expectCode(hubSettings({ HF_ENDPOINT: 'ftp://x' }), 'ERR_INVALID_ARGUMENT', /HF_ENDPOINT/);
});
