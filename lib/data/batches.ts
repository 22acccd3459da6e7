import { checkArray, checkInteger, checkObject, invalidArgument } from '../errors.js';
import { Generator } from '../random/index.js';

/** Which random order is meant: the same seed and epoch give the same one. */
export interface EpochOptions {
  /** 0 unless given. */
  seed?: number;
  /** The epoch, from 0; 0 unless given. */
  epoch?: number;
}

/** The examples in the random order of an epoch; what comes in stays as it is. */
export function shuffled<T>(examples: readonly T[], options: EpochOptions = {}): T[] {
  return generatorOf(options).shuffle([...checkArray('examples', examples)]);
}

/**
 * Batches of one epoch in which no text is there twice (compared trimmed and in small letters), as the in-batch
 * negatives of MultipleNegativesRankingLoss need them: sentence-transformers' `NoDuplicatesDataLoader`. There are
 * ⌊n / batchSize⌋ full batches. An example with a text of the batch is passed over; when the examples have ended, they
 * are shuffled and begin anew, so that some may come twice and others not at all.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` where so few texts differ that a batch cannot be filled
 */
export function* batchesWithoutDuplicates<E extends { readonly texts: readonly string[] }>(
  examples: readonly E[],
  batchSize: number,
  options: EpochOptions = {},
): globalThis.Generator<E[], void, undefined> {
  checkInteger('batchSize', batchSize);
  const random = generatorOf(options);
  const order = random.shuffle([...checkArray('examples', examples)]);
  let next = 0;
  for (let count = Math.floor(order.length / batchSize); count > 0; count--) {
    const batch: E[] = [];
    const texts = new Set<string>();
    let passedOver = 0;
    while (batch.length < batchSize) {
      const example = order[next]!;
      const own = example.texts.map((text) => text.trim().toLowerCase());
      if (own.some((text) => texts.has(text))) {
        // Two whole rounds see every example once at least since the last one that was taken.
        if (++passedOver > 2 * order.length)
          throw invalidArgument('batchSize', `at most ${batch.length}, as few texts differ`, batchSize);
      } else {
        batch.push(example);
        for (const text of own) texts.add(text);
        passedOver = 0;
      }
      if (++next < order.length) continue;
      next = 0;
      random.shuffle(order);
    }
    yield batch;
  }
}

function generatorOf(options: EpochOptions): Generator {
  const { seed = 0, epoch = 0 } = checkObject('options', options);
  return new Generator([checkInteger('seed', seed, 0), checkInteger('epoch', epoch, 0)]);
}
