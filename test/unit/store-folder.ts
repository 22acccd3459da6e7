import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Retriever, type Hit } from 'flatrank';
import { afterAll } from 'vitest';
import { HashEncoder } from './retriever-fakes.js';

/** A folder for the stores of one test file, gone behind it. */
export function storeFolder(): { fresh: () => string; copy: (store: string) => string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'flatrank-store-'));
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  let count = 0;
  const fresh = (): string => path.join(folder, `store-${count++}`);
  return {
    fresh,
    copy: (store) => {
      const to = fresh();
      cpSync(store, to, { recursive: true });
      return to;
    },
  };
}

export interface Meta {
  n: number;
  lang?: string;
}

export const encoder = new HashEncoder(48);

/** `count` documents `d0`, `d1`, … whose text is 'text of d0', …. */
export function documents(count: number, from = 0): { id: string; text: string; metadata: Meta }[] {
  return Array.from({ length: count }, (_, i) => {
    const id = `d${from + i}`;
    return { id, text: `text of ${id}`, metadata: { n: from + i, lang: i % 2 === 0 ? 'ko' : 'en' } };
  });
}

/** A store of these documents, saved. */
export async function savedStore(directory: string, count: number): Promise<string> {
  await using retriever = await Retriever.create<Meta>({ encoder });
  if (count > 0) await retriever.add(documents(count));
  await retriever.save(directory);
  return directory;
}

/** Everything that is in a Retriever, by id. */
export async function contents(retriever: Retriever<Meta>): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { id, text } of retriever.documents()) found.set(id, text);
  return found;
}

/** What a store holds, read by a Retriever of its own. */
export async function contentsOf(directory: string): Promise<Map<string, string>> {
  await using retriever = await Retriever.open<Meta>(directory, { encoder });
  return await contents(retriever);
}

export const idsOf = (hits: readonly Hit<unknown>[]): string[] => hits.map(({ id }) => id);
