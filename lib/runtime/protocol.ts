/** What a model's owner and its worker thread say to each other. Everything here survives a structured clone. */
import { FlatrankError, errorCodes, type FlatrankErrorCode } from '../errors.js';

/** Owner to worker. A job's texts come in slices; `last` marks the final one. */
export type Request =
  | {
      readonly type: 'start';
      readonly id: number;
      readonly job: string;
      readonly options: unknown;
      readonly total: number;
      readonly progress: boolean;
    }
  | { readonly type: 'texts'; readonly id: number; readonly texts: readonly string[]; readonly last: boolean }
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'close' };

/** Worker to owner. `opened` comes once, before anything else. */
export type Reply =
  | { readonly type: 'opened'; readonly info: unknown }
  | { readonly type: 'failed'; readonly error: WireError }
  | { readonly type: 'progress'; readonly id: number; readonly done: number; readonly total: number }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError };

/** An error as a plain object: classes do not survive a structured clone. */
export interface WireError {
  readonly code: FlatrankErrorCode;
  readonly message: string;
}

/** The plain object of an error. Anything that is not a FlatrankError becomes one, by what it is. */
export function toWireError(error: unknown): WireError {
  if (error instanceof FlatrankError) return { code: error.code, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RangeError && /allocation failed|invalid typed array length|array buffer/i.test(message))
    return { code: 'ERR_OUT_OF_MEMORY', message: `Memory for the result could not be had: ${message}` };
  return { code: 'ERR_MODEL', message: `The model's worker failed: ${message}` };
}

/** The FlatrankError of a plain object; `site` lends the stack of whoever made the call. */
export function fromWireError(wire: WireError, site: Error): FlatrankError {
  const code: FlatrankErrorCode = wire.code in errorCodes ? wire.code : 'ERR_WORKER';
  return withSite(new FlatrankError(code, wire.message), site);
}

/** `error` with the stack of `site`. */
export function withSite(error: FlatrankError, site: Error): FlatrankError {
  const frames = site.stack?.split('\n').slice(1).join('\n') ?? '';
  error.stack = `${error.name}: ${error.message}\n${frames}`;
  return error;
}
