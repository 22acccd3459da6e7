import { Retriever, type Filter } from 'flatrank';
import { describe, expect, test } from 'vitest';
import { HashEncoder } from './retriever-fakes.js';
import { storeFolder } from './store-folder.js';

const { fresh } = storeFolder();
const encoder = new HashEncoder(40);

type Scalar = string | number | boolean | null;
type Metadata = Record<string, unknown>;

/** Whether a filter lets metadata through, by the definition in docs/store.md and nothing else. */
function lets(filter: any, metadata: Metadata): boolean {
  return Object.entries(filter).every(([key, value]: [string, any]) => {
    if (key === 'and') return value.every((part: any) => lets(part, metadata));
    if (key === 'or') return value.some((part: any) => lets(part, metadata));
    if (key === 'not') return !lets(value, metadata);
    const condition = typeof value === 'object' && value !== null ? value : { eq: value };
    return Object.entries(condition).every(([operator, operand]) => holds(operator, operand, metadata[key]));
  });
}

function holds(operator: string, operand: any, found: unknown): boolean {
  const any = (test: (value: any) => boolean): boolean => (Array.isArray(found) ? found.some(test) : test(found));
  const ordered = (value: any): boolean => typeof value === typeof operand && value !== undefined;
  switch (operator) {
    case 'eq':
      return any((value) => value === operand);
    case 'ne':
      return !any((value) => value === operand);
    case 'in':
      return any((value) => operand.includes(value));
    case 'gt':
      return any((value) => ordered(value) && value > operand);
    case 'gte':
      return any((value) => ordered(value) && value >= operand);
    case 'lt':
      return any((value) => ordered(value) && value < operand);
    case 'lte':
      return any((value) => ordered(value) && value <= operand);
    case 'exists':
      return (found !== undefined) === operand;
    default:
      throw new Error(operator);
  }
}

/** A reproducible choice. */
function chooser(seed: number): <T>(values: readonly T[]) => T {
  let state = seed;
  return (values) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return values[Math.floor((state / 2 ** 32) * values.length)]!;
  };
}

const fields = ['a', 'b', 'tags', 'constructor', '__proto__', 'ü b'];
const scalars: readonly Scalar[] = [0, 1, 2, -0.5, 1e300, '', '0', '1', 'ko', 'en', 'é', true, false, null];

function randomMetadata(choose: ReturnType<typeof chooser>): Metadata {
  const metadata: Metadata = Object.create(null) as Metadata;
  for (const field of fields)
    if (choose([true, true, false]))
      metadata[field] = choose([
        choose(scalars),
        choose(scalars),
        [choose(scalars), choose(scalars)],
        [],
        { deep: choose(scalars) },
        [[choose(scalars)]],
      ]);
  return metadata;
}

function randomFilter(choose: ReturnType<typeof chooser>, depth = 0): object {
  const kind = depth > 2 ? 'field' : choose(['field', 'field', 'fields', 'and', 'or', 'not']);
  const more = (): object => randomFilter(choose, depth + 1);
  const some = <T>(make: () => T): T[] => Array.from({ length: choose([0, 1, 2, 3]) }, make);
  if (kind === 'not') return { not: more() };
  if (kind === 'and' || kind === 'or') return { [kind]: some(more) };
  const condition = (): unknown => {
    const ordered = choose(scalars.filter((value) => typeof value === 'number' || typeof value === 'string'));
    return choose<unknown>([
      choose(scalars),
      { eq: choose(scalars) },
      { ne: choose(scalars) },
      { in: some(() => choose(scalars)) },
      { [choose(['gt', 'gte', 'lt', 'lte'])]: ordered },
      { gte: ordered, lt: choose([5, 'z']) },
      { exists: choose([true, false]) },
    ]);
  };
  const entries = (kind === 'fields' ? some(() => choose(fields)) : [choose(fields)]).map((f) => [f, condition()]);
  return Object.fromEntries(entries) as object;
}

describe('a filter chooses what its definition says', async () => {
  const choose = chooser(7);
  const documents = Array.from({ length: 700 }, (_, i) => ({
    id: `${i}`,
    text: `text ${i}`,
    metadata: randomMetadata(choose),
  }));
  const memory = await Retriever.create({ encoder });
  const directory = fresh();
  await memory.add(documents.slice(0, 500));
  await memory.save(directory);
  const stored = await Retriever.open(directory, { encoder });
  await memory.add(documents.slice(500));
  await stored.add(documents.slice(500));
  const removed = new Set(['3', '77', '510', '699']);
  for (const retriever of [memory, stored]) await retriever.remove([...removed]);
  const order = (await memory.search('question', { k: 1000 })).map(({ id }) => id);

  test('in memory and in a store, in the order of the search, with k counted behind it', async () => {
    for (let round = 0; round < 400; round++) {
      const filter = randomFilter(choose) as Filter;
      // Metadata in a store is what JSON makes of it.
      const wanted = order.filter((id) => lets(filter, documents[Number(id)]!.metadata));
      for (const [name, retriever] of Object.entries({ memory, stored })) {
        const k = choose([1, 10, 1000]);
        const found = (await retriever.search('question', { k, filter })).map(({ id }) => id);
        expect(found, `${name} ${JSON.stringify(filter)}`).toEqual(wanted.slice(0, k));
      }
    }
  });

  test('infinite bounds, dates and numbers that JSON has not', async () => {
    await using retriever = await Retriever.create({ encoder });
    const metadata = [
      { at: new Date(0) },
      { at: new Date(1e12) },
      { x: NaN },
      { x: -0 },
      { x: Infinity },
      { x: undefined },
    ];
    await retriever.add(metadata.map((one, i) => ({ id: `${i}`, text: `${i}`, metadata: one })));
    const ids = async (filter: Filter): Promise<string[]> =>
      (await retriever.search('q', { filter })).map(({ id }) => id).sort();
    expect(await ids({ at: { gt: '1999' } })).toEqual(['1']);
    expect(await ids({ x: 0 })).toEqual(['3']);
    expect(await ids({ x: null })).toEqual(['2', '4']);
    expect(await ids({ x: { lt: Infinity } })).toEqual(['3']);
    expect(await ids({ x: { gt: Infinity } })).toEqual([]);
    expect(await ids({ x: { exists: false } })).toEqual(['0', '1', '5']);
  });

  test('in retrieve too', async () => {
    const crossEncoder = { predict: (pairs: readonly unknown[]) => Promise.resolve(new Float32Array(pairs.length)) };
    await using retriever = await Retriever.create<{ n: number }>({ encoder, crossEncoder });
    await retriever.add(documents.slice(0, 20).map(({ id, text }, n) => ({ id, text, metadata: { n } })));
    const hits = await retriever.retrieve('question', { filter: { n: { lt: 3 } } });
    expect(hits.map(({ id }) => id).sort()).toEqual(['0', '1', '2']);
  });

  test.each([
    [5, 'filter'],
    [[], 'filter'],
    [{ a: { near: 5 } }, 'filter.a.near'],
    [{ a: {} }, 'filter.a'],
    [{ a: [1] }, 'filter.a'],
    [{ a: { eq: [1] } }, 'filter.a.eq'],
    [{ a: { eq: NaN } }, 'filter.a.eq'],
    [{ a: { in: 'x' } }, 'filter.a.in'],
    [{ a: { in: ['x', {}] } }, 'filter.a.in[1]'],
    [{ a: { gt: true } }, 'filter.a.gt'],
    [{ a: { exists: 1 } }, 'filter.a.exists'],
    [{ and: { a: 1 } }, 'filter.and'],
    [{ or: [{ a: 1 }, { not: 3 }] }, 'filter.or[1].not'],
    [Array.from({ length: 100 }).reduce<object>((not) => ({ not }), { a: 1 }), 'filter.not.not'],
  ])('%o is refused by name', async (filter, name) => {
    await expect(memory.search('q', { filter: filter as never })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining(`\`${name}`),
    });
  });
});
