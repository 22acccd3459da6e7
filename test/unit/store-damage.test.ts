import { readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { FlatrankError, Retriever, type Filter, type Hit } from 'flatrank';
import { describe, expect, test } from 'vitest';
import { contents, documents, encoder, type Meta, savedStore, storeFolder } from './store-folder.js';

const { fresh, copy } = storeFolder();

/** How many flips of each file are tried. */
const flips = Number(process.env['FLATRANK_FUZZ'] ?? 40);

interface Everything {
  hits: Hit<Meta>[];
  filtered: Hit<Meta>[];
  all: Map<string, string>;
}

/** All that a store can be asked. */
async function everything(directory: string): Promise<Everything> {
  await using retriever = await Retriever.open<Meta>(directory, { encoder });
  return await everythingOf(retriever);
}

async function everythingOf(retriever: Retriever<Meta>): Promise<Everything> {
  return {
    hits: await retriever.search('text of d3', { k: 1000 }),
    filtered: await retriever.search('text of d3', { k: 1000, filter: { lang: 'en', n: { gte: 7 } } }),
    all: await contents(retriever),
  };
}

/** The error that a damaged store is refused with, or undefined where it answers as before. */
async function outcome(directory: string, expected: unknown): Promise<FlatrankError | undefined> {
  try {
    expect(await everything(directory)).toEqual(expected);
    await using retriever = await Retriever.open<Meta>(directory, { encoder });
    await retriever.add(documents(2, 290), { onDuplicate: 'replace' });
    await retriever.remove(['d0', 'd295']);
    await retriever.compact();
    return undefined;
  } catch (error) {
    if (!(error instanceof FlatrankError)) throw error;
    return error;
  }
}

describe('damaged files are refused by name', async () => {
  const original = await savedStore(fresh(), 300);
  {
    await using retriever = await Retriever.open<Meta>(original, { encoder });
    await retriever.add(documents(100, 300));
    await retriever.remove(['d2', 'd350', 'd351']);
  }
  const files = readdirSync(original);
  const expected = await everything(original);

  test.each(files)('%s: flipped bits', async (name) => {
    const bytes = readFileSync(path.join(original, name));
    let refused = 0;
    for (let i = 0; i < flips; i++) {
      const directory = copy(original);
      const at = i < 24 ? i * 4 : Math.floor(bytes.length * ((i * 0.6180339887) % 1));
      const damagedBytes = Buffer.from(bytes);
      damagedBytes[at % bytes.length]! ^= 1 << (i & 7);
      writeFileSync(path.join(directory, name), damagedBytes);
      const error = await outcome(directory, expected);
      rmSync(directory, { recursive: true });
      if (!error) continue; // a byte that means nothing: padding, or blank space
      refused++;
      expect(['ERR_BAD_FILE', 'ERR_UNSUPPORTED']).toContain(error.code);
      expect(error.message).toContain(path.join(directory, name));
    }
    expect(refused).toBeGreaterThan(flips / 4);
  });

  test.each(files)('%s: cut short, longer, empty, missing', async (name) => {
    const { length } = readFileSync(path.join(original, name));
    for (const size of [0, 1, 63, 64, length >> 1, length - 1, length + 1, -1]) {
      const directory = copy(original);
      if (size < 0) rmSync(path.join(directory, name));
      else truncateSync(path.join(directory, name), size);
      const error = await outcome(directory, expected);
      if (name === 'manifest.json' && size > 0 && size >= length - 1 && !error) continue; // the line feed at its end
      expect(error).toMatchObject({ code: size < 0 && name === 'manifest.json' ? 'ERR_NOT_FOUND' : 'ERR_BAD_FILE' });
      expect(error!.message).toContain(name === 'manifest.json' ? directory : path.join(directory, name));
    }
  });

  test.each(files.filter((name) => name.startsWith('s') && !name.includes('removed')))(
    '%s: cut short while it is open',
    async (name) => {
      const directory = copy(original);
      await using unread = await Retriever.open<Meta>(directory, { encoder });
      await using read = await Retriever.open<Meta>(directory, { encoder });
      expect(await everythingOf(read)).toEqual(expected);
      truncateSync(path.join(directory, name), 64);
      const refused = { code: 'ERR_BAD_FILE', message: expect.stringContaining(path.join(directory, name)) };
      await expect(everythingOf(unread)).rejects.toMatchObject(refused);
      // What it has read of an index it does not read again.
      if (name.endsWith('.index')) expect(await everythingOf(read)).toEqual(expected);
      else await expect(everythingOf(read)).rejects.toMatchObject(refused);
    },
  );

  test('files of one segment in place of those of another', async () => {
    const twins = fresh();
    await savedStore(twins, 100);
    await using retriever = await Retriever.open<Meta>(twins, { encoder });
    await retriever.add(documents(100, 100)); // texts of the same lengths
    await retriever.dispose();
    const whole = await everything(twins);
    const [first, second] = [...new Set(readdirSync(twins).filter((n) => n.endsWith('.index')))].map(
      (n) => n.split('.')[0]!,
    );
    for (const ending of ['vectors', 'jsonl', 'index']) {
      const directory = copy(twins);
      const [a, b] = [first, second].map((stem) => path.join(directory, `${stem!}.${ending}`)) as [string, string];
      renameSync(a, `${a}.x`);
      renameSync(b, a);
      renameSync(`${a}.x`, b);
      const error = await outcome(directory, whole);
      expect(error).toMatchObject({ code: 'ERR_BAD_FILE' });
      expect([a, b].some((file) => error!.message.includes(file))).toBe(true);
    }
  });

  test('a manifest that does not fit its files, with a checksum of its own', async () => {
    const { createHash } = await import('node:crypto');
    const text = readFileSync(path.join(original, 'manifest.json'), 'utf8');
    const edits: ((manifest: any) => void)[] = [
      (m) => (m.version = 99),
      (m) => (m.format = 'other'),
      (m) => (m.dimension = 2),
      (m) => (m.dimension = 1e9),
      (m) => (m.segments[0].rows *= 2),
      (m) => (m.segments[0].rows = -1),
      (m) => (m.segments[0].rows = 1e15),
      (m) => (m.segments[0].name = '../../etc/passwd'),
      (m) => (m.segments[0].vectors = 2 ** 52),
      (m) => m.segments[0].documents++,
      (m) => (m.segments[0].index.checksum ^= 1),
      (m) => (m.segments[0].removed.file = '../x'),
      (m) => m.segments[0].removed.rows++,
      (m) => (m.segments = {}),
      (m) => (m.documents = -5),
      (m) => m.segments.reverse(),
    ];
    for (const edit of edits) {
      const directory = copy(original);
      const manifest = JSON.parse(text);
      delete manifest.checksum;
      edit(manifest);
      const checksum = createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
      writeFileSync(path.join(directory, 'manifest.json'), JSON.stringify({ ...manifest, checksum }));
      const error = await outcome(directory, expected);
      if (!error) continue;
      expect(['ERR_BAD_FILE', 'ERR_UNSUPPORTED', 'ERR_MODEL_MISMATCH']).toContain(error.code);
    }
  });
});

/** A store with codes, of which one file is damaged, and a search that reads that file. */
async function codedStore(ending: string, filter?: Filter<Meta>) {
  const original = await savedStore(fresh(), 2100);
  const name = readdirSync(original).find((file) => file.endsWith(ending))!;
  const bytes = readFileSync(path.join(original, name));
  const searchWith = (retriever: Retriever<Meta>): Promise<Hit<Meta>[]> =>
    retriever.search('text of d3', { k: 5, ...(filter ? { filter } : {}) });
  const search = async (directory: string): Promise<Hit<Meta>[]> => {
    await using retriever = await Retriever.open<Meta>(directory, { encoder });
    return await searchWith(retriever);
  };
  const refused = { code: 'ERR_BAD_FILE', message: expect.stringContaining(name) };
  const directory = copy(original);
  const file = path.join(directory, name);

  test('cut short, longer, empty, missing', async () => {
    for (const size of [0, 1, 63, 64, 80, bytes.length >> 1, bytes.length - 1, bytes.length + 1]) {
      writeFileSync(file, bytes);
      truncateSync(file, size);
      await expect(search(directory)).rejects.toMatchObject(refused);
    }
    rmSync(file);
    await expect(search(directory)).rejects.toMatchObject(refused);
  });

  test('cut short while it is open', async () => {
    writeFileSync(file, bytes);
    await using retriever = await Retriever.open<Meta>(directory, { encoder });
    expect(await searchWith(retriever)).toEqual(await search(original));
    truncateSync(file, 64);
    await expect(searchWith(retriever)).rejects.toMatchObject(refused);
  });

  test('those of another segment of the same size', async () => {
    const twins = copy(original);
    await using retriever = await Retriever.open<Meta>(twins, { encoder });
    await retriever.add(documents(2100, 2100));
    await retriever.dispose();
    const [a, b] = readdirSync(twins)
      .filter((other) => other.endsWith(ending))
      .map((other) => path.join(twins, other)) as [string, string];
    renameSync(a, `${a}.x`);
    renameSync(b, a);
    renameSync(`${a}.x`, b);
    await expect(search(twins)).rejects.toMatchObject({
      code: 'ERR_BAD_FILE',
      message: expect.stringContaining(ending),
    });
  });

  /** What a search finds where bit `bit` of byte `at` is another. */
  const flipped = (at: number, bit: number): Promise<Hit<Meta>[]> => {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 1 << bit;
    writeFileSync(file, damaged);
    return search(directory);
  };
  return { original, bytes, search, flipped, refused };
}

describe('damaged codes are refused by name', async () => {
  const { bytes, flipped, refused } = await codedStore('.codes');

  test('flipped bits', async () => {
    for (let i = 0; i < flips; i++) {
      const at = i < 24 ? i * 4 : Math.floor(bytes.length * ((i * 0.6180339887) % 1));
      await expect(flipped(at, i & 7)).rejects.toMatchObject(refused);
    }
  });
});

describe('damaged codes of a row are refused by name when a search looks at it', async () => {
  const chosen = Array.from({ length: 100 }, (_, i) => 3 + i * 20);
  const { original, bytes, search, flipped, refused } = await codedStore('.coderows', { n: { in: chosen } });
  const expected = await search(original);

  test('flipped bits, in rows that are looked at and in others', async () => {
    const rowBytes = bytes.length / (2100 - (2100 % 16));
    for (let i = 0; i < flips; i++) {
      const at = chosen[i % chosen.length]! * rowBytes + ((i * 7) % rowBytes);
      await expect(flipped(at, i & 7)).rejects.toMatchObject(refused);
      expect(await flipped(at + rowBytes, i & 7)).toEqual(expected);
    }
  });

  test('a store without them answers the same', async () => {
    const { createHash } = await import('node:crypto');
    const older = copy(original);
    const manifest = JSON.parse(readFileSync(path.join(older, 'manifest.json'), 'utf8'));
    for (const segment of manifest.segments) delete segment.codeRows;
    delete manifest.checksum;
    const checksum = createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
    writeFileSync(path.join(older, 'manifest.json'), JSON.stringify({ ...manifest, checksum }));
    expect(await search(older)).toEqual(expected);
  });
});
