/** Learning rate by step, as transformers' `get_scheduler` gives it. */

/** What the learning rate does behind the warm-up. */
export type Schedule = 'linear' | 'cosine' | 'constant';

/** The names of schedules. */
export const schedules: readonly Schedule[] = ['linear', 'cosine', 'constant'];

/**
 * What the learning rate is multiplied by at `step` (from 0): it rises from 0 to 1 over `warmupSteps`, then falls to 0 at
 * `totalSteps`, along a line or half a cosine, or stays.
 */
export function scheduleFactor(schedule: Schedule, step: number, warmupSteps: number, totalSteps: number): number {
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  if (schedule === 'constant') return 1;
  const rest = Math.max(1, totalSteps - warmupSteps);
  if (schedule === 'linear') return Math.max(0, (totalSteps - step) / rest);
  return Math.max(0, 0.5 * (1 + Math.cos((Math.PI * (step - warmupSteps)) / rest)));
}
