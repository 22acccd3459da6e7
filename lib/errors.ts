import { setMaxListeners } from 'node:events';

/**
 * Every `code` that a {@link FlatrankError} can carry, with what it means. Codes are stable: a program may branch on
 * them; messages may be reworded.
 */
export const errorCodes = {
  ERR_INVALID_ARGUMENT: 'an argument has the wrong type, shape or value',
  ERR_DIMENSION: 'vectors whose dimension is not the one of the index or model',
  ERR_NON_FINITE: 'NaN or an infinite value in vectors or scores',
  ERR_CAPACITY: 'more rows than an index can label (2^31 - 1)',
  ERR_OUT_OF_MEMORY: 'memory for vectors or results could not be had',
  ERR_DUPLICATE_ID: 'a document id that is already there, or twice in one call',
  ERR_DISPOSED: 'the object was disposed before the call',
  ERR_CANCELLED: 'native work stopped because its signal was aborted (callers see signal.reason instead)',
  ERR_NOT_FOUND: 'a file or directory that is not there or cannot be read',
  ERR_BAD_FILE: 'a file that is damaged, truncated or not of the kind its name says',
  ERR_UNSUPPORTED: 'a model, module, option or device that this version does not know',
  ERR_TOKENIZER: 'a tokenizer without the special tokens it needs, or that cannot be read',
  ERR_MODEL: 'the model failed while running, or gave an output of another shape than it declares',
  ERR_WORKER: "the model's worker thread stopped unexpectedly",
  ERR_HUB: 'the Hugging Face Hub could not be reached, refused, or sent something else than it promised',
  ERR_IO: 'a file could not be written, or not be brought to the disk: nothing was changed',
  ERR_LOCKED: 'a store that another Retriever, here or in another process, is writing to',
  ERR_MODEL_MISMATCH: 'a store that was made by another model than the one it is opened with',
  ERR_DEVICE: 'the GPU failed while it was working',
  ERR_NATIVE: 'the native addon could not be loaded',
} as const;

/** One of {@link errorCodes}. */
export type FlatrankErrorCode = keyof typeof errorCodes;

/**
 * The one error class of flatrank, also for errors raised in C++ or in a worker thread. `code` is stable and one of
 * {@link errorCodes}; `message` names the argument, what was expected and what came.
 */
export class FlatrankError extends Error {
  readonly code: FlatrankErrorCode;

  constructor(code: FlatrankErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  static {
    // On the prototype, so that it shows in stacks without being an own, enumerable property of every error.
    Object.defineProperty(this.prototype, 'name', { value: 'FlatrankError', configurable: true, writable: true });
  }
}

/** What came, in the words an error message uses: `NaN`, `"abc"`, `an array of length 3`, `a Float64Array of length 8`. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol' || typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `an array of length ${value.length}`;
  if (ArrayBuffer.isView(value)) {
    const length = 'length' in value ? ` of length ${String(value.length)}` : '';
    return `a ${value.constructor.name}${length}`;
  }
  if (typeof value === 'object' && value !== null) {
    const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
    return typeof name === 'string' && name !== 'Object' ? `an instance of ${name}` : 'an object';
  }
  return String(value);
}

/** An `ERR_INVALID_ARGUMENT` in the one voice of this library: "Expected `k` to be a positive integer but received NaN". */
export function invalidArgument(name: string, expectation: string, received: unknown): FlatrankError {
  return new FlatrankError(
    'ERR_INVALID_ARGUMENT',
    `Expected \`${name}\` to be ${expectation} but received ${describe(received)}`,
  );
}

/** Checks that `value` is an integer of at least `min` (1 unless given) and returns it. */
export function checkInteger(name: string, value: unknown, min = 1): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min) return value;
  const expectation = min === 1 ? 'a positive integer' : `an integer of at least ${min}`;
  throw invalidArgument(name, expectation, value);
}

/** Checks that `value` is one of `choices` and returns it. */
export function checkOneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  throw invalidArgument(name, `one of ${choices.map((c) => `'${c}'`).join(', ')}`, value);
}

/** Checks that `value` is a string and returns it. */
export function checkString(name: string, value: unknown): string {
  if (typeof value === 'string') return value;
  throw invalidArgument(name, 'a string', value);
}

/** Checks that `value` is a boolean and returns it. */
export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw invalidArgument(name, 'a boolean', value);
}

/** Checks that `value` is an array and returns it; `expectation` says of what. */
export function checkArray<T>(name: string, value: readonly T[], expectation = 'an array'): readonly T[] {
  if (Array.isArray(value)) return value as readonly T[];
  throw invalidArgument(name, expectation, value);
}

/** Checks that `value` is an object (of options, say) and returns it. */
export function checkObject<T extends object>(name: string, value: T): T {
  if (typeof value === 'object' && (value as unknown) !== null && !Array.isArray(value)) return value;
  throw invalidArgument(name, 'an object', value);
}

/**
 * Checks that `value` is undefined or an AbortSignal, and throws its reason where it is aborted already. From now on any number of
 * calls may listen to it: Node.js takes more than ten for a leak, but each goes when its call ends.
 */
export function checkSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  if (!(value instanceof AbortSignal)) throw invalidArgument('signal', 'an AbortSignal', value);
  value.throwIfAborted();
  setMaxListeners(0, value);
  return value;
}
