import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { Retriever } from 'flatrank';
import { describe, expect, test } from 'vitest';
import { HashEncoder } from './retriever-fakes.js';
import { contents, contentsOf, documents, encoder, idsOf, type Meta, savedStore, storeFolder } from './store-folder.js';

const { fresh } = storeFolder();

describe('save and open', () => {
  test('a store answers as the Retriever that saved it, to the bit', async () => {
    const directory = fresh();
    await using memory = await Retriever.create<Meta>({ encoder });
    await memory.add(documents(700));
    await memory.remove(['d3', 'd650']);
    await memory.save(directory);
    await using stored = await Retriever.open<Meta>(directory, { encoder });
    expect([stored.size, stored.metric]).toEqual([698, 'cosine']);
    const questions = ['text of d5', 'text of d3', 'something else'];
    for (const filter of [undefined, { lang: 'ko' }, { n: { lt: 40 } }, { n: -1 }]) {
      const options = { k: 20, ...(filter ? { filter } : {}) };
      expect(await stored.search(questions, options)).toEqual(await memory.search(questions, options));
    }
    expect(idsOf(await stored.search('text of d5', { k: 1 }))).toEqual(['d5']);
  });

  test('an empty store, metrics, and documents without metadata', async () => {
    for (const metric of ['cosine', 'dot', 'l2'] as const) {
      const directory = fresh();
      await using memory = await Retriever.create({ encoder, metric });
      await memory.save(directory);
      await using stored = await Retriever.open(directory, { encoder });
      expect([stored.metric, stored.size, await stored.search('x')]).toEqual([metric, 0, []]);
      await stored.add(['one', { id: 'b', text: '' }]);
      await memory.add(['one', { id: 'b', text: '' }]);
      expect(await stored.search('one')).toEqual(await memory.search('one'));
    }
  });

  test('every text comes back as it was', async () => {
    const directory = fresh();
    const texts = ['', ' ', '줄\n바꿈 "따옴표"', '\u0000\u2028', '😀'.repeat(3), '\ud800 alone', 'x'.repeat(1 << 20)];
    await using memory = await Retriever.create({ encoder });
    await memory.add(
      texts.map((text, i) => ({ id: `${text.slice(0, 20)}${i}`, text, metadata: { text, deep: { a: [1] } } })),
    );
    await memory.save(directory);
    await using stored = await Retriever.open(directory, { encoder });
    const found = await stored.search('q', { k: 100 });
    expect(found.map(({ text }) => text).sort()).toEqual([...texts].sort());
    for (const { text, metadata } of found) expect(metadata).toEqual({ text, deep: { a: [1] } });
  });

  test('save goes in place of a store that is there, whole', async () => {
    const directory = await savedStore(fresh(), 30);
    await savedStore(directory, 4);
    expect([...(await contentsOf(directory)).keys()]).toEqual(['d0', 'd1', 'd2', 'd3']);
    expect(readdirSync(directory)).toHaveLength(4);
  });

  test('save to another directory copies an opened store; to its own there is nothing to do', async () => {
    const directory = await savedStore(fresh(), 30);
    const other = fresh();
    await using stored = await Retriever.open<Meta>(directory, { encoder });
    await stored.remove('d4');
    await stored.save(other);
    const before = readdirSync(directory);
    await stored.save(directory);
    expect(readdirSync(directory)).toEqual(before);
    expect(await contentsOf(other)).toEqual(await contents(stored));
  });

  test('metadata that JSON cannot write is refused by the name of its document, and nothing is left', async () => {
    const directory = fresh();
    await using memory = await Retriever.create({ encoder });
    await memory.add([{ id: 'big', text: 'x', metadata: { n: 1n } }]);
    await expect(memory.save(directory)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining('"big"'),
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  test.each([
    ['no directory', () => Retriever.open(5 as never), 'ERR_INVALID_ARGUMENT'],
    ['no store', () => Retriever.open(fresh(), { encoder }), 'ERR_NOT_FOUND'],
    ['an unknown option', () => Retriever.open(fresh(), { write: true } as never), 'ERR_UNSUPPORTED'],
    ['readOnly that is none', () => Retriever.open(fresh(), { readOnly: 1 as never }), 'ERR_INVALID_ARGUMENT'],
  ])('open refuses %s', async (_, call, code) => {
    await expect(call()).rejects.toMatchObject({ name: 'FlatrankError', code });
  });
});

describe('the model', () => {
  test('another model is refused, with both fingerprints', async () => {
    const directory = await savedStore(fresh(), 3);
    await expect(Retriever.open(directory, { encoder: new HashEncoder(48, 'other') })).rejects.toMatchObject({
      code: 'ERR_MODEL_MISMATCH',
      message: expect.stringMatching(/fake:hash.*fake:other/),
    });
    await expect(Retriever.open(directory, { encoder: new HashEncoder(8) })).rejects.toMatchObject({
      code: 'ERR_MODEL_MISMATCH',
      message: expect.stringMatching(/48.*8/),
    });
    await expect(Retriever.open(directory)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });
});

describe('a store that is open', () => {
  test('is not written to where a store of another model or metric was saved in its place', async () => {
    const directory = await savedStore(fresh(), 3);
    for (const [other, metric] of [
      [new HashEncoder(48, 'other'), 'cosine'],
      [encoder, 'dot'],
    ] as const) {
      await using stored = await Retriever.open<Meta>(await savedStore(directory, 3), { encoder });
      await using replacing = await Retriever.create({ encoder: other, metric });
      await replacing.add(['of another kind']);
      await replacing.save(directory);
      for (const call of [() => stored.add(['x']), () => stored.remove('d1'), () => stored.refresh()])
        await expect(call()).rejects.toMatchObject({
          code: 'ERR_MODEL_MISMATCH',
          message: expect.stringContaining(directory),
        });
      expect(stored.size).toBe(3);
      expect(idsOf(await stored.search('text of d1', { k: 1 }))).toEqual(['d1']);
      await using now = await Retriever.open(directory, { encoder: other });
      expect([now.size, await now.add(['y'])]).toMatchObject([1, { added: 1 }]);
    }
  });

  test('keeps apart ids that UTF-8 writes alike', async () => {
    const directory = await savedStore(fresh(), 0);
    await using stored = await Retriever.open<Meta>(directory, { encoder });
    await stored.add([{ id: '\ud800', text: 'one' }]);
    await stored.add([{ id: '\ud801', text: 'two' }]);
    expect(await stored.remove('\ud801')).toEqual({ removed: 1 });
    expect((await contentsOf(directory)).get('\ud800')).toBe('one');
  });

  test('gives no documents behind dispose', async () => {
    const stored = await Retriever.open<Meta>(await savedStore(fresh(), 3), { encoder });
    await stored.dispose();
    await expect(contents(stored)).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  });

  test('keeps every change without a save', async () => {
    const directory = await savedStore(fresh(), 10);
    await using stored = await Retriever.open<Meta>(directory, { encoder });
    expect(await stored.add(documents(5, 10))).toEqual({ added: 5, truncated: 0 });
    expect((await contentsOf(directory)).size).toBe(15);
    expect(await stored.remove(['d1', 'd1', 'none', 'd12'])).toEqual({ removed: 2 });
    expect(await contentsOf(directory)).toEqual(await contents(stored));
    const again = [{ id: 'd2', text: 'new two', metadata: { n: 2 } }];
    await expect(stored.add(again)).rejects.toMatchObject({ code: 'ERR_DUPLICATE_ID' });
    expect(await stored.add(again, { onDuplicate: 'replace' })).toEqual({ added: 1, truncated: 0 });
    expect((await contentsOf(directory)).get('d2')).toBe('new two');
    expect(stored.size).toBe(13);
    expect(idsOf(await stored.search('new two', { k: 1 }))).toEqual(['d2']);
    expect(idsOf(await stored.search('text of d2', { k: 100 }))).toHaveLength(13);
  });

  test('adds without rewriting what is there', async () => {
    const directory = await savedStore(fresh(), 9000);
    const times = (): [string, number][] =>
      readdirSync(directory)
        .filter((name) => name.startsWith('s1-'))
        .map((name) => [name, statSync(path.join(directory, name)).mtimeMs]);
    const before = times();
    await using stored = await Retriever.open<Meta>(directory, { encoder });
    for (let i = 0; i < 70; i++) await stored.add(documents(1, 9000 + i));
    await stored.remove('d5');
    expect(times().filter(([name]) => !name.includes('removed'))).toEqual(before);
    // One by one, yet not one file each.
    expect(readdirSync(directory).length).toBeLessThan(50);
    expect((await contentsOf(directory)).size).toBe(9069);
    await stored.compact();
    expect(readdirSync(directory).filter((name) => name.startsWith('s'))).toHaveLength(5);
    expect(await contentsOf(directory)).toEqual(await contents(stored));
  });

  test('made ids pass over those that are taken, and are not made twice', async () => {
    const directory = await savedStore(fresh(), 0);
    await using stored = await Retriever.open<Meta>(directory, { encoder });
    await stored.add(['a', 'b', { id: '3', text: 'c' }]);
    await stored.remove('1');
    await stored.add(['d', 'e']);
    expect([...(await contents(stored)).keys()]).toEqual(['0', '3', '4', '5']);
  });

  test('of documents with one id in one replacing add, the last is kept', async () => {
    const directory = await savedStore(fresh(), 0);
    const twice = Array.from({ length: 3000 }, (_, i) => ({
      id: `x${i % 1500}`,
      text: `version ${i}`,
      metadata: { n: i },
    }));
    await using stored = await Retriever.open<Meta>(directory, { encoder });
    await using memory = await Retriever.create<Meta>({ encoder });
    for (const retriever of [stored, memory]) {
      expect(await retriever.add(twice, { onDuplicate: 'replace' })).toEqual({ added: 1500, truncated: 0 });
      expect(retriever.size).toBe(1500);
      const found = await contents(retriever);
      expect([found.size, found.get('x0'), found.get('x1499')]).toEqual([1500, 'version 1500', 'version 2999']);
    }
  });

  test('an add that fails or is aborted leaves nothing, neither seen nor on the disk', async () => {
    const directory = await savedStore(fresh(), 5);
    await using stored = await Retriever.open<Meta>(directory, { encoder });
    const before = readdirSync(directory).sort();
    const many = documents(3000, 100);
    const control = new AbortController();
    const reason = new Error('stop');
    async function* source(): AsyncGenerator<{ id: string; text: string }> {
      yield* many;
      await Promise.resolve();
      control.abort(reason);
    }
    await expect(stored.add(source(), { signal: control.signal })).rejects.toBe(reason);
    await expect(stored.add([...many, { text: 1 } as never])).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(stored.add([...many, many[0]!])).rejects.toMatchObject({ code: 'ERR_DUPLICATE_ID' });
    expect(
      readdirSync(directory)
        .filter((name) => name !== 'lock')
        .sort(),
    ).toEqual(before);
    expect([stored.size, (await contentsOf(directory)).size]).toEqual([5, 5]);
  });

  test('compact rewrites what is left', async () => {
    const directory = await savedStore(fresh(), 2000);
    await using stored = await Retriever.open<Meta>(directory, { encoder });
    await stored.remove(documents(1000).map(({ id }) => id));
    const before = await stored.search('text of d1500', { k: 50 });
    await stored.compact();
    expect(await stored.search('text of d1500', { k: 50 })).toEqual(before);
    expect(readdirSync(directory).filter((name) => name.includes('removed'))).toEqual([]);
    await stored.remove(documents(1000, 1000).map(({ id }) => id));
    expect([stored.size, await stored.search('x')]).toEqual([0, []]);
    await stored.compact();
    expect(readdirSync(directory).sort()).toEqual(['lock', 'manifest.json']);
    await stored.add(['more']);
    expect((await contentsOf(directory)).size).toBe(1);
  });

  test('a source is not asked for more than what is being put away', async () => {
    const directory = await savedStore(fresh(), 0);
    const counting = new HashEncoder(48);
    await using stored = await Retriever.open(directory, { encoder: counting });
    let ahead = 0;
    function* source(): Generator<string> {
      for (let i = 0; i < 5000; i++) {
        ahead = Math.max(ahead, i - counting.encoded);
        yield `text ${i}`;
      }
    }
    await stored.add(source());
    expect(ahead).toBeLessThan(1024);
    expect(stored.size).toBe(5000);
  });
});

describe('writers and readers', () => {
  test('one writer at a time; the second is told who it is', async () => {
    const directory = await savedStore(fresh(), 3);
    const first = await Retriever.open<Meta>(directory, { encoder });
    await first.add(['mine']);
    await using second = await Retriever.open<Meta>(directory, { encoder });
    const message = expect.stringMatching(new RegExp(`process ${process.pid} on .+, since \\d{4}-`));
    for (const change of [() => second.add(['x']), () => second.remove('d1'), () => second.compact()])
      await expect(change()).rejects.toMatchObject({ code: 'ERR_LOCKED', message });
    await using memory = await Retriever.create<Meta>({ encoder });
    await expect(memory.save(directory)).rejects.toMatchObject({ code: 'ERR_LOCKED', message });
    expect(second.size).toBe(4);
    await first.remove('d0');
    await first.dispose();
    expect(existsSync(path.join(directory, 'lock'))).toBe(false);
    // What the first wrote since is seen before the second writes.
    await second.add([{ id: 'd0', text: 'again' }]);
    expect([...(await contents(second)).keys()].sort()).toEqual(['d0', 'd1', 'd2', '3'].sort());
  });

  test('a reader sees what it opened, whatever the writer does, until refresh', async () => {
    const directory = await savedStore(fresh(), 600);
    await using writer = await Retriever.open<Meta>(directory, { encoder });
    await using reader = await Retriever.open<Meta>(directory, { encoder, readOnly: true });
    const before = await writer.search('text of d7', { k: 600 });
    await writer.remove(documents(300).map(({ id }) => id));
    await writer.add(documents(10, 600));
    await writer.compact();
    expect(await reader.search('text of d7', { k: 600 })).toEqual(before);
    expect((await contents(reader)).size).toBe(600);
    await expect(reader.add(['x'])).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
    expect(await reader.refresh()).toBe(true);
    expect(await reader.refresh()).toBe(false);
    expect(reader.size).toBe(310);
    expect(await reader.search('text of d7', { k: 600 })).toEqual(await writer.search('text of d7', { k: 600 }));
  });

  test('opening beside a writer that compacts always sees a whole store', async () => {
    const directory = await savedStore(fresh(), 40);
    await using writer = await Retriever.open<Meta>(directory, { encoder });
    let writing = true;
    const work = (async () => {
      for (let i = 0; i < 25; i++) {
        await writer.add([{ id: 'd0', text: `round ${i}` }], { onDuplicate: 'replace' });
        await writer.compact();
      }
      writing = false;
    })();
    while (writing) expect((await contentsOf(directory)).size).toBe(40);
    await work;
  });
});
