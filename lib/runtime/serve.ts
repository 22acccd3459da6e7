/** The worker's side of a model: takes requests from the owner, runs jobs step by step, answers. */
import type { MessagePort, Transferable } from 'node:worker_threads';
import { toWireError, type Reply, type Request } from './protocol.js';
import { Scheduler, type Task } from './scheduler.js';

/** What a finished job answers. `transfer` names the buffers that move instead of being copied. */
export interface JobResult {
  readonly value: unknown;
  readonly transfer: readonly Transferable[];
}

/** One call on a model, done in bounded steps. */
export interface Job {
  /** Whether {@link step} can do something now. */
  readonly ready: boolean;
  /** Takes a slice of the call's texts; `last` marks the final one. */
  push(texts: readonly string[], last: boolean): void;
  /** One bounded step; the result where that was the last. */
  step(): Promise<JobResult | undefined>;
}

/** A loaded model in its worker. */
export interface Servant {
  /** Plain data about the model, for its owner. */
  readonly info: unknown;
  /** Begins a call of `total` texts. `report` takes the number of texts done. */
  start(job: string, options: unknown, total: number, report: (done: number) => void): Job;
  /** Frees the model; no job is under way. */
  close(): Promise<void>;
}

const eventLoopTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Opens a model and serves it over `port` until the owner says `close`. The thread then ends by itself: the model is
 * never torn down in the middle of a run.
 */
export async function serve(port: MessagePort, open: () => Promise<Servant>): Promise<void> {
  const reply = (message: Reply, transfer: readonly Transferable[] = []): void => {
    port.postMessage(message, transfer);
  };
  let servant: Servant;
  try {
    servant = await open();
    reply({ type: 'opened', info: servant.info });
  } catch (error) {
    reply({ type: 'failed', error: toWireError(error) });
    port.close();
    return;
  }

  const scheduler = new Scheduler(eventLoopTurn);
  const tasks = new Map<number, Task & { job: Job }>();

  const begin = (request: Extract<Request, { type: 'start' }>): void => {
    const { id, total } = request;
    const finish = (send: () => void): true => {
      // An aborted call has no one left who waits for it.
      if (tasks.delete(id)) send();
      return true;
    };
    const report = (done: number): void => {
      if (request.progress && tasks.has(id)) reply({ type: 'progress', id, done, total });
    };
    let job: Job;
    try {
      job = servant.start(request.job, request.options, total, report);
    } catch (error) {
      reply({ type: 'error', id, error: toWireError(error) });
      return;
    }
    const task = {
      job,
      get ready() {
        return job.ready;
      },
      async step(): Promise<boolean> {
        try {
          const result = await job.step();
          if (result === undefined) return false;
          return finish(() => {
            reply({ type: 'result', id, value: result.value }, result.transfer);
          });
        } catch (error) {
          return finish(() => {
            reply({ type: 'error', id, error: toWireError(error) });
          });
        }
      },
    };
    tasks.set(id, task);
    scheduler.add(task);
  };

  const close = async (): Promise<void> => {
    for (const task of tasks.values()) scheduler.remove(task);
    tasks.clear();
    await scheduler.rest();
    await servant.close();
    port.close();
  };

  port.on('message', (request: Request) => {
    if (request.type === 'start') begin(request);
    else if (request.type === 'texts') {
      tasks.get(request.id)?.job.push(request.texts, request.last);
      scheduler.wake();
    } else if (request.type === 'abort') {
      const task = tasks.get(request.id);
      if (task) scheduler.remove(task);
      tasks.delete(request.id);
    } else void close();
  });
}
