import { expect, it } from 'vitest';
import { Scheduler } from '../../dist/runtime/scheduler.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A task of `steps` steps that writes its name at each. */
function task(name: string, steps: number, log: string[], each?: () => void) {
  return {
    ready: true,
    step(): Promise<boolean> {
      log.push(name);
      each?.();
      return Promise.resolve(--steps === 0);
    },
  };
}

it('takes turns, and a new task goes before those that have run', async () => {
  const log: string[] = [];
  const scheduler = new Scheduler(turn);
  let count = 0;
  scheduler.add(
    task('a', 6, log, () => {
      if (++count === 2) scheduler.add(task('short', 1, log));
    }),
  );
  scheduler.add(task('b', 4, log));
  await scheduler.rest();
  expect(log).toEqual(['a', 'b', 'a', 'short', 'b', 'a', 'b', 'a', 'b', 'a', 'a']);
});

it('lets a stream of new tasks starve no old one', async () => {
  const log: string[] = [];
  const scheduler = new Scheduler(turn);
  let left = 40;
  const next = (): void => {
    if (left-- > 0) scheduler.add(task('new', 1, log, next));
  };
  scheduler.add(task('old', 5, log));
  next();
  await scheduler.rest();
  const places = log.flatMap((name, i) => (name === 'old' ? [i] : []));
  expect(places).toHaveLength(5);
  for (const [i, place] of places.entries()) expect(place - (places[i - 1] ?? 0)).toBeLessThanOrEqual(9);
});

it('waits for tasks that are not ready, and drops removed ones', async () => {
  const log: string[] = [];
  const scheduler = new Scheduler(turn);
  const late = { ...task('late', 1, log), ready: false };
  const gone = task('gone', 9, log, () => {
    scheduler.remove(gone);
  });
  scheduler.add(late);
  scheduler.add(gone);
  await scheduler.rest();
  expect(log).toEqual(['gone']);
  late.ready = true;
  scheduler.wake();
  await scheduler.rest();
  expect(log).toEqual(['gone', 'late']);
});
