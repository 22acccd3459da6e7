import { FlatrankError } from '../errors.js';

/** The calls that run on an object, so that its `dispose()` can wait for them and refuse later ones. */
export class Calls {
  readonly #owner: string;
  #running = 0;
  #disposed: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  /** @param owner the name of the class, for messages */
  constructor(owner: string) {
    this.#owner = owner;
  }

  /** @throws FlatrankError `ERR_DISPOSED` behind `dispose` */
  check(): void {
    if (this.#disposed) throw new FlatrankError('ERR_DISPOSED', `This ${this.#owner} was disposed before the call`);
  }

  /** Runs `call`. @throws FlatrankError `ERR_DISPOSED` behind `dispose` */
  async run<T>(call: () => Promise<T>): Promise<T> {
    this.check();
    this.#running++;
    try {
      return await call();
    } finally {
      if (--this.#running === 0) this.#idle?.();
    }
  }

  /** Refuses calls from now on, waits for those that run, then releases what they use; once, however often called. */
  dispose(release: () => void | Promise<void>): Promise<void> {
    this.#disposed ??= this.#whenIdle().then(release);
    return this.#disposed;
  }

  #whenIdle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }
}

/** Jobs one after another, in the order they were asked for. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Runs `job` when all earlier ones have ended; an abort while it waits rejects at once with `signal.reason`. */
  async take<T>(signal: AbortSignal | undefined, job: () => Promise<T>): Promise<T> {
    const earlier = this.#last;
    let end: () => void = () => undefined;
    this.#last = new Promise((resolve) => {
      end = resolve;
    });
    try {
      await abortable(signal, earlier);
      return await job();
    } finally {
      void earlier.then(end); // not before the earlier ones, also where this one gave up waiting
    }
  }
}

/** Awaits `promise`, or rejects with `signal.reason` as soon as the signal is aborted. */
export async function abortable<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (!signal) return promise;
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(signal.reason);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
