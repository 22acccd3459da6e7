import { FlatrankError } from '../errors.js';

/** What becomes of a cross-encoder's class scores: nothing, the logistic function of each, or softmax over a row. */
export type Activation = 'none' | 'sigmoid' | 'softmax';

/** Whether a Python class that a configuration names is used: sentence-transformers runs code of no other package. */
export const isTrusted = (className: string): boolean => className.startsWith('torch.');

/** Activations by the last name of their Python class. */
const classes: Readonly<Record<string, Activation>> = { Sigmoid: 'sigmoid', Identity: 'none', Softmax: 'softmax' };

/**
 * The activation that a configuration names by its Python class, such as torch.nn.modules.activation.Sigmoid.
 * @throws FlatrankError `ERR_UNSUPPORTED` for another class, by its name
 */
export function activationOfClass(path: string, className: string): Activation {
  const name = className.split('.').at(-1)!;
  const found = Object.hasOwn(classes, name) ? classes[name] : undefined;
  if (found) return found;
  throw new FlatrankError(
    'ERR_UNSUPPORTED',
    `Expected the activation of ${path} to be one of ${Object.keys(classes).join(', ')} but received '${className}'`,
  );
}

/** The Python class of an activation. */
export const classOfActivation: Readonly<Record<Activation, string>> = {
  sigmoid: 'torch.nn.modules.activation.Sigmoid',
  none: 'torch.nn.modules.linear.Identity',
  softmax: 'torch.nn.modules.activation.Softmax',
};

/** Applies an activation to `scores` (n · labels) in place; computed in double precision, rounded once. */
export function activate(scores: Float32Array, labels: number, activation: Activation): void {
  if (activation === 'sigmoid') for (let i = 0; i < scores.length; i++) scores[i] = 1 / (1 + Math.exp(-scores[i]!));
  if (activation === 'softmax')
    for (let from = 0; from < scores.length; from += labels) {
      const row = scores.subarray(from, from + labels);
      const max = row.reduce((a, b) => Math.max(a, b), -Infinity);
      const powers = Array.from(row, (score) => Math.exp(score - max));
      const sum = powers.reduce((a, b) => a + b, 0);
      for (let i = 0; i < labels; i++) row[i] = powers[i]! / sum;
    }
}
