import { MessageChannel } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { serve, type Job } from '../../lib/runtime/serve.js';

/** A servant whose one job answers with a buffer of V8's. */
function listen(buffer: Float32Array): { ask: (message: unknown) => void; answers: AsyncIterator<any> } {
  const { port1, port2 } = new MessageChannel();
  const job: Job = {
    ready: true,
    push: () => undefined,
    step: () => Promise.resolve({ value: buffer, transfer: [buffer.buffer as ArrayBuffer] }),
  };
  void serve(port1, () => Promise.resolve({ info: 'ready', start: () => job, close: () => Promise.resolve() }));
  async function* read(): AsyncGenerator {
    const queue: unknown[] = [];
    let wake: () => void = () => undefined;
    port2.on('message', (message) => {
      queue.push(message);
      wake();
    });
    for (;;) {
      while (queue.length > 0) yield queue.shift();
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  return {
    ask: (message) => {
      port2.postMessage(message);
    },
    answers: read(),
  };
}

it('moves results to their owner: the sender’s buffer is detached, nothing was copied', async () => {
  const buffer = Float32Array.of(1, 2, 3);
  const { ask, answers } = listen(buffer);
  expect((await answers.next()).value).toEqual({ type: 'opened', info: 'ready' });
  ask({ type: 'start', id: 1, job: 'any', options: {}, total: 0, progress: false });
  const { value } = await answers.next();
  expect(value).toEqual({ type: 'result', id: 1, value: Float32Array.of(1, 2, 3) });
  expect(buffer.byteLength).toBe(0);
  ask({ type: 'close' });
});
