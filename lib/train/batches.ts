/** The batches of an epoch, as tokens. */
import { batchesWithoutDuplicates, shuffled } from '../data/index.js';
import { invalidArgument } from '../errors.js';
import type { Batch } from './engine.js';
import type { TrainingExample } from './examples.js';
import { hasInBatchNegatives, needsLabel, type Loss } from './losses.js';
import type { TextTokens } from './token-stream.js';

interface NumberedExample extends TrainingExample {
  readonly index: number;
}

/** What {@link ObjectiveData} takes of the plan. */
export interface BatchOptions {
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly seed: number;
}

/** The examples of one objective; tokens are kept once they are made. */
export class ObjectiveData {
  readonly loss: Loss;
  /** Batches an epoch. */
  readonly batches: number;
  readonly #examples: readonly NumberedExample[];
  readonly #tokenize: (texts: readonly string[]) => TextTokens[];
  readonly #tokens = new Map<number, TextTokens[]>();
  readonly #o: BatchOptions;

  /** @throws FlatrankError `ERR_INVALID_ARGUMENT` where there are too few examples for a batch of negatives */
  constructor(
    examples: readonly TrainingExample[],
    loss: Loss,
    tokenize: (texts: readonly string[]) => TextTokens[],
    o: BatchOptions,
  ) {
    this.loss = loss;
    this.#examples = examples.map(({ texts, label }, index) => ({
      texts,
      ...(label === undefined ? {} : { label }),
      index,
    }));
    this.#tokenize = tokenize;
    this.#o = o;
    const whole = this.#distinct ? Math.floor(examples.length / o.batchSize) : Math.ceil(examples.length / o.batchSize);
    if (whole === 0) throw invalidArgument('batchSize', `at most the ${examples.length} examples`, o.batchSize);
    this.batches = whole;
  }

  get #distinct(): boolean {
    return this.#o.shuffle && hasInBatchNegatives(this.loss);
  }

  /** The examples of each batch of `epoch`. */
  *epoch(epoch: number): Generator<readonly NumberedExample[], void, undefined> {
    const { batchSize, shuffle, seed } = this.#o;
    if (this.#distinct) {
      yield* batchesWithoutDuplicates(this.#examples, batchSize, { seed, epoch });
      return;
    }
    const order = shuffle ? shuffled(this.#examples, { seed, epoch }) : this.#examples;
    for (let i = 0; i < order.length; i += batchSize) yield order.slice(i, i + batchSize);
  }

  /** A batch as tokens: all first texts, then all second ones, and so on. */
  tokens(examples: readonly NumberedExample[], step: number): Batch {
    const rows = examples.map(({ texts, index }) => {
      let tokens = this.#tokens.get(index);
      if (!tokens) this.#tokens.set(index, (tokens = this.#tokenize(texts).map(compact)));
      return tokens;
    });
    const columns = rows[0]!.length;
    const texts = Array.from({ length: columns }, (_, c) => rows.map((row) => row[c]!)).flat();
    const labels = needsLabel(this.loss) ? examples.map(({ label }) => label!) : [];
    return { texts, columns, labels, step };
  }
}

const compact = ({ ids, typeIds }: TextTokens): TextTokens => ({
  ids: Int32Array.from(ids),
  typeIds: Uint8Array.from(typeIds),
});
