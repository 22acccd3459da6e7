import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';

/**
 * Training changes a model's weights: the method of this name makes a model run with those of another directory of the
 * same model from its next call on. Not part of the public surface.
 */
export const reload: unique symbol = Symbol('reload');

/** Directories of models that nobody else knows: they go with the model, or with the process. */
const owned = new Set<string>();

/** Lets `directory` live until {@link disown} or the end of the process: a model reads its weights from there to save them. */
export function own(directory: string): void {
  if (owned.size === 0) process.once('exit', removeAll);
  owned.add(directory);
}

/** Removes `directory` where it is owned. */
export async function disown(directory: string | undefined): Promise<void> {
  if (directory === undefined || !owned.delete(directory)) return;
  if (owned.size === 0) process.off('exit', removeAll);
  await rm(directory, { recursive: true, force: true });
}

function removeAll(): void {
  for (const directory of owned) rmSync(directory, { recursive: true, force: true });
}
