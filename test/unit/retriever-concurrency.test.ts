import { setTimeout as sleep } from 'node:timers/promises';
import { Retriever } from 'flatrank';
import { describe, expect, test } from 'vitest';
import { FakeEncoder, HashEncoder } from './retriever-fakes.js';
import { encoder, type Meta, storeFolder } from './store-folder.js';

const { fresh } = storeFolder();

/** One in memory, and one over a store. */
async function both(): Promise<Record<string, Retriever<Meta>>> {
  const directory = fresh();
  const memory = await Retriever.create<Meta>({ encoder });
  await memory.save(directory);
  return { memory, stored: await Retriever.open<Meta>(directory, { encoder }) };
}

describe('searches beside changes', () => {
  test('see every change that was done before, and none half done', async () => {
    for (const retriever of Object.values(await both())) {
      const group = (version: number): { id: string; text: string; metadata: Meta }[] =>
        Array.from({ length: 300 }, (_, i) => ({ id: `d${i}`, text: `${version} ${i}`, metadata: { n: version } }));
      await retriever.add(group(0));
      let done = 0;
      let changing = true;
      const versions = new Set<number>();
      const searching = Array.from({ length: 4 }, async (_, worker) => {
        while (changing) {
          const before = done;
          const filter = worker % 2 === 0 ? {} : { filter: { n: { gte: 0 } } };
          const hits = await retriever.search('q', { k: 1000, ...filter });
          // All of one version, not older than what was done when we asked.
          const found = new Set(hits.map(({ metadata }) => metadata.n));
          expect([hits.length, found.size]).toEqual([300, 1]);
          expect([...found][0]).toBeGreaterThanOrEqual(before);
          expect(new Set(hits.map(({ id }) => id)).size).toBe(300);
          versions.add([...found][0]!);
          await sleep(0);
        }
      });
      for (let version = 1; version <= 14; version++) {
        await retriever.add(group(version), { onDuplicate: 'replace' });
        done = version;
        if (version % 6 === 0) await retriever.compact();
      }
      changing = false;
      await Promise.all(searching);
      expect(versions.size).toBeGreaterThan(2);
      await retriever.dispose();
    }
  });

  test('changes that are called at once run in their order', async () => {
    for (const retriever of Object.values(await both())) {
      const results = await Promise.all([
        retriever.add([
          { id: 'a', text: 'one' },
          { id: 'b', text: 'two' },
        ]),
        retriever.remove('a'),
        retriever.add([{ id: 'a', text: 'three' }]),
        retriever.compact(),
        retriever.remove(['b', 'b']),
        retriever.add([{ id: 'b', text: 'four' }]).then(() => retriever.size),
      ]);
      expect(results.at(-1)).toBe(2);
      expect((await retriever.search('q')).map(({ text }) => text).sort()).toEqual(['four', 'three']);
      await retriever.dispose();
    }
  });

  test('dispose waits for what runs, gives the lock back, and refuses what comes', async () => {
    const { stored } = await both();
    const adding = stored!.add(['x', 'y']);
    const searching = stored!.search('x');
    await stored!.dispose();
    expect(await adding).toEqual({ added: 2, truncated: 0 });
    expect(await searching).toEqual(expect.any(Array));
    for (const call of [
      () => stored!.add(['z']),
      () => stored!.remove('x'),
      () => stored!.search('x'),
      () => stored!.compact(),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    await stored!.dispose();
  });
});

describe('queries that come together', () => {
  test('are encoded together, and each gets its own answer', async () => {
    const fake = new FakeEncoder('dot');
    await using retriever = await Retriever.create({ encoder: fake });
    await retriever.add(['1,0', '0,1', '1,1'].map((text, i) => ({ id: text, text, metadata: { n: i } })));
    const alone = await Promise.all([retriever.search('1,0', { k: 1 })]);
    fake.calls.length = 0;
    const asked = await Promise.all([
      retriever.search('1,0', { k: 1 }),
      retriever.search('0,2', { k: 3 }),
      retriever.search(['5,0', '0,5'], { k: 2, filter: { n: { lt: 2 } } }),
      retriever.search('3,0', { k: 2, filter: { n: { lt: 2 } } }),
    ]);
    expect(fake.calls.map(({ texts }) => texts)).toEqual([['1,0', '0,2', '5,0', '0,5', '3,0']]);
    expect(asked[0]).toEqual(alone[0]);
    expect(asked[1].map(({ id }) => id)).toEqual(['0,1', '1,1', '1,0']);
    expect(asked[2].map((hits: any) => hits.map(({ id }: { id: string }) => id))).toEqual([
      ['1,0', '0,1'],
      ['0,1', '1,0'],
    ]);
    expect(asked[3].map(({ id }) => id)).toEqual(['1,0', '0,1']);
  });

  test('one that fails does not fail the others, one that is aborted does not wait', async () => {
    const fake = new FakeEncoder('dot');
    await using retriever = await Retriever.create({ encoder: fake });
    await retriever.add(['1,0', '0,1']);
    const control = new AbortController();
    const reason = new Error('no more');
    const asked = Promise.allSettled([
      retriever.search('1,0', { k: 1 }),
      retriever.search('no vector'),
      retriever.search('0,1', { signal: control.signal }),
      retriever.search('0,3', { k: 1 }),
    ]);
    control.abort(reason);
    const [first, second, third, fourth] = await asked;
    expect([first, fourth]).toMatchObject([{ value: [{ text: '1,0' }] }, { value: [{ text: '0,1' }] }]);
    expect([second, third]).toMatchObject([{ reason: { code: 'ERR_MODEL' } }, { reason }]);
    expect(await retriever.search('1,0', { k: 1 })).toMatchObject([{ text: '1,0' }]);
  });

  test('many of them take few calls of the model', async () => {
    const counting = new HashEncoder(32);
    let calls = 0;
    const slow = {
      dimension: 32,
      encodeDocument: (texts: readonly string[]) => counting.encodeDocument(texts),
      encodeQuery: async (texts: readonly string[]) => {
        calls++;
        await sleep(2);
        return counting.encodeQuery(texts);
      },
    };
    await using retriever = await Retriever.create({ encoder: slow });
    await retriever.add(Array.from({ length: 500 }, (_, i) => `text ${i}`));
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => retriever.search(`text ${i}`, { k: 1 })));
    expect(answers.map(([hit]) => hit!.text)).toEqual(Array.from({ length: 300 }, (_, i) => `text ${i}`));
    expect(calls).toBeLessThan(20);
  });
});
