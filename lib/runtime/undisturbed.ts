/**
 * Worker threads that `process.exit()` does not interrupt while a model is opened, runs or is freed: onnxruntime-node's binding would
 * then throw through Node's own code, which ends the process by SIGABRT. The thread says when it is in such a call, and on exit the thread
 * that started it waits for the end of the call.
 */
import { Worker, workerData } from 'node:worker_threads';

/** Two words that both threads see: how many calls the worker is in, and whether its process is about to exit. */
const [busy, leaving] = [0, 1];

/** The longest wait on exit, in milliseconds: more than a batch takes. */
const patience = 10_000;

interface Start {
  readonly spec: unknown;
  readonly flags: Int32Array;
}

/** Of the workers that this thread started and that still run. */
const running = new Set<Int32Array>();
let listening = false;

/** Starts a worker on the module `entry`, which learns `spec` by {@link workerSpec}. */
export function startWorker(entry: URL, spec: unknown, name: string): Worker {
  const start: Start = { spec, flags: new Int32Array(new SharedArrayBuffer(8)) };
  // A worker inherits Node's options, and refuses to be a file where one of them is of a script on the command line.
  const inline = process.execArgv.some((argument) => argument.startsWith('--input-type'));
  const worker = new Worker(entry, { workerData: start, name, ...(inline ? { execArgv: [] } : {}) });
  running.add(start.flags);
  worker.once('exit', () => running.delete(start.flags));
  if (!listening) process.once('exit', waitForAll);
  listening = true;
  return worker;
}

/** In the worker: what it was started with. */
export const workerSpec = (): unknown => (workerData as Start).spec;

/** Runs a call of onnxruntime-node's. @throws what `call` throws */
export async function undisturbed<T>(call: () => Promise<T>): Promise<T> {
  const flags = (workerData as Start | null | undefined)?.flags;
  if (!(flags instanceof Int32Array)) return call(); // not in a worker of ours
  Atomics.add(flags, busy, 1);
  try {
    if (Atomics.load(flags, leaving) === 0) return await call();
  } finally {
    Atomics.sub(flags, busy, 1);
    Atomics.notify(flags, busy);
    Atomics.wait(flags, leaving, 1); // until the thread is ended, where it is about to be
  }
  throw new Error('the process exits');
}

function waitForAll(): void {
  const end = Date.now() + patience;
  for (const flags of running) Atomics.store(flags, leaving, 1); // no other batch begins while one is waited for
  for (const flags of running)
    for (let calls = 1; calls > 0 && Date.now() < end; calls = Atomics.load(flags, busy))
      Atomics.wait(flags, busy, calls, end - Date.now());
}
