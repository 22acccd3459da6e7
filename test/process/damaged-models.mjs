// Opens and runs a model directory whose files are damaged, again and again: node damaged-models.mjs DIRECTORY FILE ROUNDS SEED.
// Prints what came of it; anything but a FlatrankError ends it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FlatrankError } from '../../dist/errors.js';
import { openModel } from '../../dist/model/servant.js';

const [directory, name, rounds, seed] = process.argv.slice(2);
let state = Number(seed);
const below = (limit) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
};

const path = join(directory, name);
const whole = readFileSync(path);
const digits = [...whole.entries()].filter(([, byte]) => byte >= 48 && byte <= 57).map(([at]) => at);
let [opened, refused] = [0, 0];
for (let round = 0; round < Number(rounds); round++) {
  let bytes = Buffer.from(whole);
  const kind = below(8);
  if (kind === 0) bytes = bytes.subarray(0, below(bytes.length));
  else if (kind === 1 && digits.length > 0) {
    // An absurd number in place of one that is there.
    const at = digits[below(digits.length)];
    bytes = Buffer.concat([
      bytes.subarray(0, at),
      Buffer.from(String(2 ** below(70) - below(2))),
      bytes.subarray(at + 1),
    ]);
  } else
    for (let flips = below(4); flips >= 0; flips--) {
      // Most of a file with weights is weights: its ends are where the structure is.
      const span = Math.min(bytes.length, 30_000);
      bytes[below(2) ? below(span) : bytes.length - 1 - below(span)] ^= 1 << below(8);
    }
  writeFileSync(path, bytes);
  try {
    const model = await openModel({
      kind: 'sentence-transformer',
      directory,
      device: 'cpu',
      threads: 1,
      precision: 'float32',
      maxSeqLength: undefined,
      pooling: undefined,
      weights: { type: 'directory' },
    });
    await model.close();
    opened += 1;
  } catch (error) {
    if (!(error instanceof FlatrankError)) {
      writeFileSync(`${path}.broken`, bytes);
      throw error;
    }
    refused += 1;
  }
}
console.log(JSON.stringify({ opened, refused, peakBytes: process.resourceUsage().maxRSS * 1024 }));
