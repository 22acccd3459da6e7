/** Work that is done in bounded steps. */
export interface Task {
  /** Whether a step can be taken now; a task that waits for input is not ready. */
  readonly ready: boolean;
  /** Takes one bounded step; true where that was the last. Must not reject. */
  step(): Promise<boolean>;
}

/** After so many tasks that had not run yet, one that had gets a step, so that a stream of new ones starves nobody. */
const freshBurst = 8;

/**
 * Takes the steps of many tasks in turn, one at a time. A task that has not run yet goes before those that have, which
 * go round robin: a short task therefore waits for one step of a long one, not for its end.
 */
export class Scheduler {
  readonly #fresh = new Set<Task>();
  readonly #begun = new Set<Task>();
  readonly #pause: () => Promise<void>;
  #burst = 0;
  #running = false;
  #waiting: (() => void)[] = [];

  /** @param pause awaited between steps: lets messages in, by which tasks come and go */
  constructor(pause: () => Promise<void>) {
    this.#pause = pause;
  }

  /** Takes a task up; its first step may come before this returns control to the event loop. */
  add(task: Task): void {
    this.#fresh.add(task);
    this.wake();
  }

  /** Drops a task: no further step is taken. */
  remove(task: Task): void {
    this.#fresh.delete(task);
    this.#begun.delete(task);
  }

  /** Looks for ready tasks again, after one has got input. */
  wake(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#loop();
  }

  /** Resolves when no step is under way. */
  async rest(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async #loop(): Promise<void> {
    for (let task = this.#next(); task !== undefined; task = this.#next()) {
      const finished = await task.step();
      if (finished) this.remove(task);
      await this.#pause();
    }
    this.#running = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** The task whose turn it is. Sets keep insertion order, so taking a task out and in again puts it last. */
  #next(): Task | undefined {
    const fresh = firstReady(this.#fresh);
    const begun = firstReady(this.#begun);
    if (fresh !== undefined && (begun === undefined || this.#burst < freshBurst)) {
      this.#burst += 1;
      this.#fresh.delete(fresh);
      this.#begun.add(fresh);
      return fresh;
    }
    if (begun === undefined) return undefined;
    this.#burst = 0;
    this.#begun.delete(begun);
    this.#begun.add(begun);
    return begun;
  }
}

function firstReady(tasks: ReadonlySet<Task>): Task | undefined {
  for (const task of tasks) if (task.ready) return task;
  return undefined;
}
