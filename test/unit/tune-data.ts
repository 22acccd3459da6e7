/** Questions and contexts for tests of the road: pairs of the recorded training rows, few and short. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const golden = fileURLToPath(new URL('../fixtures/golden', import.meta.url));
export const tinyBert = `${golden}/models/tiny-bert`;

/** n questions, `perContext` of them on each context. */
export function questions(n: number, perContext = 1): { question: string; context: string }[] {
  const { rows } = JSON.parse(readFileSync(`${golden}/train.json`, 'utf8')) as { rows: [string, string, number][] };
  return Array.from({ length: n }, (_, i) => {
    const place = Math.floor(i / perContext);
    return { question: `${rows[i]![0]} ${i}`, context: `${rows[place]![1]} ${place}` };
  });
}
