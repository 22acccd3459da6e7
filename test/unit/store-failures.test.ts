import { readdirSync } from 'node:fs';
import path from 'node:path';
import { Retriever } from 'flatrank';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { disk } from '../../dist/retriever/store/disk.js';
import { contents, contentsOf, documents, encoder, idsOf, type Meta, savedStore, storeFolder } from './store-folder.js';

const { fresh, copy } = storeFolder();

afterEach(() => {
  vi.restoreAllMocks();
});

const codes = {
  create: 'ENOSPC',
  write: 'ENOSPC',
  sync: 'EIO',
  syncDirectory: 'EIO',
  rename: 'EIO',
  openToRead: 'EMFILE',
};
type Operation = keyof typeof codes;

/** Makes call number `at` of an operation fail as the system would; tells whether it came to that. */
function failing(operation: Operation, at: number): () => boolean {
  const real = disk[operation] as (...args: unknown[]) => Promise<never>;
  let calls = 0;
  vi.spyOn(disk, operation as 'rename').mockImplementation(async (...args: unknown[]) => {
    if (calls++ !== at) return real(...args);
    if (operation === 'write') await real(args[0], (args[1] as Uint8Array).subarray(0, 10)); // it was full in the middle
    throw Object.assign(new Error(`${codes[operation]}: injected`), { code: codes[operation], errno: -1 });
  });
  return () => calls > at;
}

const changes: Record<string, (retriever: Retriever<Meta>) => Promise<unknown>> = {
  add: (retriever) => retriever.add(documents(30, 1000)),
  'add replacing': (retriever) => retriever.add(documents(30, 190), { onDuplicate: 'replace' }),
  remove: (retriever) => retriever.remove(['d3', 'd150', 'd201']),
  compact: (retriever) => retriever.compact(),
};

describe('a full disk and a failing sync are errors, and the store is as before', async () => {
  const original = await savedStore(fresh(), 200);
  {
    await using retriever = await Retriever.open<Meta>(original, { encoder });
    await retriever.add(documents(10, 200));
    await retriever.remove(['d1', 'd205']);
  }

  for (const [name, change] of Object.entries(changes))
    test.each(Object.keys(codes) as Operation[])(`${name}, where %s fails`, async (operation) => {
      let failed = 0;
      for (let at = 0; ; at++) {
        const directory = copy(original);
        await using retriever = await Retriever.open<Meta>(directory, { encoder });
        const before = await contents(retriever);
        const hits = await retriever.search('text of d3', { k: 300 });
        const files = readdirSync(directory).sort();
        const reached = failing(operation, at);
        const outcome = await change(retriever).then(
          () => undefined,
          (error: unknown) => error,
        );
        vi.restoreAllMocks();
        if (!reached()) break;
        if (outcome === undefined) continue; // what failed came behind the change: removing what it replaced
        failed++;
        expect(outcome).toMatchObject({ name: 'FlatrankError' });
        expect((outcome as Error).message).toContain(directory);
        expect(
          readdirSync(directory)
            .filter((file) => file !== 'lock')
            .sort(),
        ).toEqual(files);
        expect(await contents(retriever)).toEqual(before);
        expect(await contentsOf(directory)).toEqual(before);
        expect(await retriever.search('text of d3', { k: 300 })).toEqual(hits);
        // Nothing stands in the way of another try.
        await change(retriever);
        expect(await contentsOf(directory)).toEqual(await contents(retriever));
      }
      expect(failed).toBeGreaterThan(0);
    });

  test('save: what was there stays', async () => {
    await using memory = await Retriever.create<Meta>({ encoder });
    await memory.add(documents(20));
    for (const operation of ['create', 'write', 'sync', 'syncDirectory', 'rename'] as const)
      for (let at = 0; ; at++) {
        const directory = copy(original);
        const before = await contentsOf(directory);
        const reached = failing(operation, at);
        const saved = await memory.save(directory).catch((error: unknown) => error);
        vi.restoreAllMocks();
        if (!reached()) break;
        expect(saved).toMatchObject({ code: 'ERR_IO' });
        expect(await contentsOf(directory)).toEqual(before);
      }
  });

  test('save brings the names of new directories to the disk', async () => {
    const top = fresh();
    await using memory = await Retriever.create<Meta>({ encoder });
    const synced: string[] = [];
    const real = disk.syncDirectory;
    vi.spyOn(disk, 'syncDirectory').mockImplementation((of) => {
      synced.push(of);
      return real(of);
    });
    await memory.save(`${top}/in/it`);
    expect(synced).toEqual(expect.arrayContaining([`${top}/in`, top, path.dirname(top)]));
  });

  test('where a change can neither be finished nor taken back, it says so and writes no more', async () => {
    const directory = copy(original);
    await using retriever = await Retriever.open<Meta>(directory, { encoder });
    const before = await contents(retriever);
    let renames = 0;
    const rename = disk.rename;
    vi.spyOn(disk, 'rename').mockImplementation((from, to) =>
      renames++ === 0 ? rename(from, to) : Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO', errno: -5 })),
    );
    let syncs = 0;
    const sync = disk.syncDirectory;
    vi.spyOn(disk, 'syncDirectory').mockImplementation((of) =>
      syncs++ === 0 ? sync(of) : Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO', errno: -5 })),
    );
    const unsettled = { code: 'ERR_IO', message: expect.stringContaining('Open the store anew') };
    await expect(retriever.add(documents(5, 500))).rejects.toMatchObject(unsettled);
    vi.restoreAllMocks();
    await expect(retriever.add(documents(5, 600))).rejects.toMatchObject(unsettled);
    expect(await contents(retriever)).toEqual(before);
    await retriever.dispose();
    // Whichever manifest the disk kept, it is whole.
    expect([before.size, before.size + 5]).toContain((await contentsOf(directory)).size);
  });
});

test('what a killed writer left behind is neither seen nor in the way', async () => {
  const directory = await savedStore(fresh(), 5);
  const { writeFileSync } = await import('node:fs');
  for (const name of ['s9-0123abcd.vectors', 's9-0123abcd.jsonl', 'manifest.json.tmp', 'lock'])
    writeFileSync(`${directory}/${name}`, 'half');
  await using retriever = await Retriever.open<Meta>(directory, { encoder });
  expect(retriever.size).toBe(5);
  await retriever.add(documents(1, 5));
  expect(readdirSync(directory).filter((name) => name.includes('0123abcd') || name.includes('tmp'))).toEqual([]);
  expect(idsOf(await retriever.search('text of d5', { k: 1 }))).toEqual(['d5']);
});
