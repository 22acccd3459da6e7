/** Damaged files: the same ones for the same seed. */

/** How many damaged files a test tries: FLATRANK_FUZZ of each kind, or a few. */
export const fuzzCount = Number(process.env['FLATRANK_FUZZ'] ?? 400);

/** Milliseconds that a test with {@link fuzzCount} files may take. */
export const fuzzTimeoutMs = Math.max(120_000, fuzzCount * 20);

/** Numbers from 0 to below n, always the same for a seed. */
export function randomNumbers(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    // xorshift (Marsaglia 2003)
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

const absurd = [
  '-1',
  '0',
  '1e308',
  '-1e9',
  '4294967296',
  '9007199254740993',
  'null',
  '""',
  '[]',
  '{}',
  'true',
  '"\\u0000"',
  '1.5',
  '[[[]]]',
];

/** A file cut short, with flipped bits, or with parts moved; where it is JSON also with absurd values. */
export function damage(bytes: Buffer, random: (n: number) => number, json: boolean): Buffer {
  const kind = random(json ? 6 : 4);
  if (kind === 0) return bytes.subarray(0, random(bytes.length));
  const copy = Buffer.from(bytes);
  if (kind === 1) for (let n = 1 + random(3); n > 0; n--) copy[random(copy.length)]! ^= 1 << random(8);
  else if (kind === 2) for (let n = 1 + random(8); n > 0; n--) copy[random(copy.length)] = random(256);
  else if (kind === 3) copy.copyWithin(random(copy.length), random(copy.length), random(copy.length));
  else {
    const text = bytes.toString();
    const values = [
      ...text.matchAll(/(?<=[:,[]\s*)("(?:[^"\\]|\\.)*"|-?\d[\d.e+-]*|true|false|null|\{\}|\[\])(?=\s*[,\]}])/g),
    ];
    const value = values[random(values.length)]!;
    const replacement = absurd[random(absurd.length)]!;
    return Buffer.from(text.slice(0, value.index) + replacement + text.slice(value.index + value[0].length));
  }
  return copy;
}
