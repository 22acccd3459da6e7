/** Requests to the Hub: the token for the Hub alone, retries, timeouts, and errors that say what to do. */
import { setTimeout as pause } from 'node:timers/promises';
import { FlatrankError, type FlatrankErrorCode } from '../errors.js';
import type { HubSettings } from './settings.js';

/** Answers that another attempt may mend. */
const transient = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Failures to connect at all: the machine is offline more likely than not. */
const unreachable = new Set(
  'ENOTFOUND EAI_AGAIN ECONNREFUSED ENETUNREACH EHOSTUNREACH UND_ERR_CONNECT_TIMEOUT'.split(' '),
);

/** How often in a row an attempt may fail. */
export const maxAttempts = 5;

/** The longest pause that a server gets by asking for it: the Hub counts requests by five minutes. */
const maxPauseMs = 300_000;

/** An answer that is not a success and that another attempt does not mend. */
export class RefusedError extends FlatrankError {
  readonly status: number;
  /** The Hub's own error code ('RepoNotFound', 'RevisionNotFound', …), '' where it gives none. */
  readonly hubCode: string;

  constructor(code: FlatrankErrorCode, message: string, status: number, hubCode: string) {
    super(code, message);
    this.status = status;
    this.hubCode = hubCode;
  }
}

/** There is no way to the Hub now: waiting a little does not mend that. */
export class UnreachableError extends FlatrankError {}

/** A failure that another attempt may mend. */
class TransientError extends FlatrankError {
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super('ERR_HUB', message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** One user of the Hub, with its settings and its signal. */
export class HubClient {
  readonly settings: HubSettings;
  readonly #signal: AbortSignal | undefined;

  constructor(settings: HubSettings, signal: AbortSignal | undefined) {
    this.settings = settings;
    this.#signal = signal;
  }

  /** This client, giving up also when `signal` is aborted. */
  until(signal: AbortSignal): HubClient {
    return new HubClient(this.settings, this.#with(signal));
  }

  /**
   * The answer to a request, where it is a success.
   * @param idle aborted where the server stops sending; the caller's own signal is heeded besides
   * @throws FlatrankError `ERR_NOT_FOUND` where the Hub knows no such thing, `ERR_HUB` for other refusals and failures
   */
  async request(url: string | URL, headers: Record<string, string>, idle: AbortSignal): Promise<Response> {
    const { endpoint, token } = this.settings;
    const atHub = new URL(url).origin === new URL(endpoint).origin;
    let response: Response;
    try {
      // On a redirect to another origin (files of the Hub lie at a CDN) fetch drops the Authorization header.
      response = await fetch(url, {
        headers: {
          'user-agent': 'flatrank',
          ...headers,
          ...(atHub && token ? { authorization: `Bearer ${token}` } : {}),
        },
        signal: this.#with(idle),
      });
    } catch (error) {
      throw this.failure(error, url);
    }
    if (response.ok) return response;
    await response.body?.cancel().catch(() => undefined);
    throw refusal(response, url, token !== undefined);
  }

  /** `fetch` for the Hub's programming interface: {@link request}, made again where that may help. */
  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = input instanceof Request ? input.url : input;
    const headers = Object.fromEntries(new Headers(init?.headers));
    return this.retry(async () => {
      const response = await this.request(url, headers, AbortSignal.timeout(this.settings.timeoutMs));
      // Read here, so that a connection cut in the middle is retried too.
      try {
        return new Response(await response.arrayBuffer(), { headers: response.headers, status: response.status });
      } catch (error) {
        throw this.failure(error, url);
      }
    });
  };

  /**
   * Runs `attempt` until it succeeds, fails for good, or has failed {@link maxAttempts} times in a row.
   * @param progressed whether the attempt that failed got further than those before it: then counting starts again
   */
  async retry<T>(attempt: () => Promise<T>, progressed: () => boolean = () => false): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await attempt();
      } catch (error) {
        if (progressed()) failures = 1;
        if (!(error instanceof TransientError) || failures >= maxAttempts) throw error;
        await this.pause(Math.max(error.retryAfterMs, this.settings.retryDelayMs * 2 ** (failures - 1)));
      }
    }
  }

  /** Waits; an abort rejects with `signal.reason`. */
  async pause(ms: number): Promise<void> {
    this.#signal?.throwIfAborted();
    await pause(ms, undefined, { signal: this.#signal }).catch(() => this.#signal?.throwIfAborted());
  }

  /** What to throw for an exception of fetch or of a body's stream. */
  failure(error: unknown, url: string | URL): unknown {
    if (this.#signal?.aborted) return this.#signal.reason;
    if (error instanceof FlatrankError) return error;
    const cause = (error as { cause?: { code?: string; message?: string } } | undefined)?.cause;
    const reason = cause?.message ?? (error instanceof Error ? error.message : String(error));
    const message = `Expected an answer from ${hostOf(url)} but: ${reason}`;
    return unreachable.has(cause?.code ?? '') || (error instanceof DOMException && error.name === 'TimeoutError')
      ? new UnreachableError('ERR_HUB', `${message} (HF_HUB_OFFLINE=1 keeps to what is cached)`, { cause: error })
      : new TransientError(message, 0, { cause: error });
  }

  #with(signal: AbortSignal): AbortSignal {
    return this.#signal ? AbortSignal.any([this.#signal, signal]) : signal;
  }
}

/** The error for an answer that is not a success. */
function refusal({ status, headers }: Response, url: string | URL, withToken: boolean): FlatrankError {
  const hubCode = headers.get('x-error-code') ?? '';
  const text = headers.get('x-error-message') ?? '';
  const what = `${hostOf(url)}${new URL(url).pathname}`;
  const received = ['received', status, hubCode, text].filter(Boolean).join(' ');
  const refused = (code: FlatrankErrorCode, message: string): FlatrankError =>
    new RefusedError(code, message, status, hubCode);
  if (transient.has(status)) return new TransientError(`Expected ${what} but ${received}`, retryAfterMsOf(headers));
  if (hubCode === 'GatedRepo' || status === 403)
    return refused(
      'ERR_HUB',
      `Expected access to ${what} but ${received}: ask for it on its page${withToken ? '' : ', and set HF_TOKEN'}`,
    );
  if (hubCode === 'RevisionNotFound' || hubCode === 'EntryNotFound')
    return refused('ERR_NOT_FOUND', `Expected ${what} to be there but ${received}`);
  // The Hub answers so for repositories that are private as well, so as not to tell.
  if (status === 401 || status === 404)
    return refused(
      'ERR_NOT_FOUND',
      `Expected ${what} to be there but ${received}; if it is private, ` +
        (withToken ? 'this HF_TOKEN does not open it' : 'set HF_TOKEN'),
    );
  return refused('ERR_HUB', `Expected ${what} but ${received}`);
}

/** How long a server asks to wait: by Retry-After (seconds or a date), or by the Hub's RateLimit (`"api";r=0;t=12`). */
export function retryAfterMsOf(headers: Headers): number {
  const after = headers.get('retry-after') ?? '';
  const limit = headers.get('ratelimit') ?? '';
  const seconds = /^\s*\d+\s*$/.test(after)
    ? after
    : /;\s*r\s*=\s*0\b/.test(limit) && /;\s*t\s*=\s*(\d+)/.exec(limit)?.[1];
  const ms = seconds ? 1000 * Number(seconds) : Date.parse(after) - Date.now();
  return ms > 0 ? Math.min(ms, maxPauseMs) : 0;
}

const hostOf = (url: string | URL): string => new URL(url).host;
