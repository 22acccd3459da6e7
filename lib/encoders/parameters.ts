import { FlatrankError } from '../errors.js';
import type { Encoder } from './families.js';
import type { Family } from './family.js';

/** A parameter's values: where they are and how to get them. A parameter in memory has no file. */
export interface Parameter {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly file?: string;
  /** From the file's first byte. */
  readonly offset?: number;
  readonly byteLength: number;
  /** The bytes as they are stored, little-endian and row-major. */
  read(): Promise<Uint8Array>;
  /** The values, widened to 32 bits. */
  float32(): Promise<Float32Array>;
}

/** Parameters by name. */
export interface ParameterSource {
  /** What messages call it. */
  readonly directory: string;
  has(name: string): boolean;
  get(name: string): Parameter;
}

/** The parameters of an encoder by the names of its body, however the checkpoint was saved. */
export class Checkpoint {
  readonly #source: ParameterSource;
  readonly #prefix: string;

  constructor(source: ParameterSource, family: Family) {
    this.#source = source;
    this.#prefix = `${family.prefix}.`;
  }

  /** What messages call it. */
  get directory(): string {
    return this.#source.directory;
  }

  /** The parameter `name`, or undefined. */
  find(name: string): Parameter | undefined {
    const found = this.nameOf(name);
    return found === undefined ? undefined : this.#source.get(found);
  }

  /** What the checkpoint calls the parameter `name`, or undefined. */
  nameOf(name: string): string | undefined {
    return this.#candidates(name).find((candidate) => this.#source.has(candidate));
  }

  /**
   * The parameter `name` of a certain shape.
   * @throws FlatrankError `ERR_BAD_FILE` where it is missing or has another shape, `ERR_UNSUPPORTED` for another type
   */
  get(name: string, shape: readonly number[]): Parameter {
    const found = this.find(name);
    const where = this.#source.directory;
    if (!found)
      throw new FlatrankError(
        'ERR_BAD_FILE',
        `Expected a tensor \`${name}\` or \`${this.#prefix}${name}\` in the weights of ${where} but there is none`,
      );
    if (found.shape.join() !== shape.join())
      throw new FlatrankError(
        'ERR_BAD_FILE',
        `Expected \`${name}\` in the weights of ${where} to have the shape (${shape.join(', ')}) that config.json ` +
          `asks for but received (${found.shape.join(', ')})`,
      );
    if (!['F32', 'F16', 'BF16'].includes(found.dtype))
      throw new FlatrankError(
        'ERR_UNSUPPORTED',
        `Expected \`${name}\` in the weights of ${where} to be F32, F16 or BF16 but received ${found.dtype}`,
      );
    return found;
  }

  /** A body may lie under its family's name; early checkpoints call a normalisation's weight and bias gamma and beta. */
  #candidates(name: string): string[] {
    const names = [name];
    if (/norm\.weight$/i.test(name)) names.push(name.replace(/weight$/, 'gamma'));
    if (/norm\.bias$/i.test(name)) names.push(name.replace(/bias$/, 'beta'));
    return names.flatMap((n) => [`${this.#prefix}${n}`, n]);
  }
}

/**
 * The classes of a checkpoint's head.
 * @throws FlatrankError `ERR_UNSUPPORTED` where it has none
 */
export function labelCount({ family }: Encoder, checkpoint: Checkpoint): number {
  const labels = checkpoint.find(`${family.classifier}.weight`)?.shape[0];
  if (labels !== undefined && labels > 0) return labels;
  throw new FlatrankError(
    'ERR_UNSUPPORTED',
    `Expected a sequence classification model in ${checkpoint.directory} but its weights hold no ` +
      `\`${family.classifier}.weight\`: CrossEncoder.fromEncoder puts a new head on a model without one`,
  );
}
