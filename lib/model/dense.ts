import { join } from 'node:path';
import { FlatrankError } from '../errors.js';
import { SafetensorsFile } from '../formats/safetensors.js';
import { isTrusted } from './activation.js';
import { denseConfig } from './configs.js';
import { isFile, readJson } from './json-file.js';

/** A linear layer with an activation, y = f(W x + b), as sentence-transformers' Dense module. */
export interface Dense {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** (outFeatures · inFeatures), row-major. */
  readonly weight: Float32Array;
  /** (outFeatures), if any. */
  readonly bias: Float32Array | undefined;
  readonly activation: (x: number) => number;
  /** Its Python class, as the configuration names it. */
  readonly activationClass: string;
}

/** Activations by the last name of their Python class. */
const activations: Readonly<Record<string, (x: number) => number>> = {
  Tanh: Math.tanh,
  Identity: (x) => x,
  ReLU: (x) => Math.max(x, 0),
  GELU: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

/**
 * The Dense module in `directory`.
 * @throws FlatrankError `ERR_UNSUPPORTED` for an activation or wiring that is not known, by its name; `ERR_BAD_FILE` where the
 *   weights do not fit the configuration
 */
export async function readDense(directory: string): Promise<Dense> {
  const path = join(directory, 'config.json');
  const config = await readJson(path, denseConfig);
  const named = config.activation_function ?? '';
  const activationClass = isTrusted(named) ? named : 'torch.nn.modules.activation.Tanh';
  const name = activationClass.split('.').at(-1)!;
  const activation = Object.hasOwn(activations, name) ? activations[name] : undefined;
  if (!activation)
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected the activation of ${path} to be one of ${Object.keys(activations).join(', ')} but received '${name}'`,
    );
  const names = [config.module_input_name, config.module_output_name];
  if (config.use_residual === true || names.some((n) => n != null && n !== 'sentence_embedding'))
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected the Dense module ${path} to map sentence_embedding to itself, without a residual`,
    );
  const weights = join(directory, 'model.safetensors');
  if (!(await isFile(weights)) && (await isFile(join(directory, 'pytorch_model.bin'))))
    throw new FlatrankError('ERR_UNSUPPORTED', `Expected a file ${weights} but there is only pytorch_model.bin`);
  const file = await SafetensorsFile.open(weights);
  const { in_features: inFeatures, out_features: outFeatures } = config;
  const weight = await tensor(file, 'linear.weight', [outFeatures, inFeatures]);
  const bias = config.bias ? await tensor(file, 'linear.bias', [outFeatures]) : undefined;
  return { inFeatures, outFeatures, weight, bias, activation, activationClass };
}

/** Applies the layer to `rows` (n · inFeatures); sums in double precision. @returns (n · outFeatures) */
export function applyDense(dense: Dense, rows: Float32Array): Float32Array {
  const { inFeatures, outFeatures, weight, bias, activation } = dense;
  const n = rows.length / inFeatures;
  const result = new Float32Array(n * outFeatures);
  for (let row = 0; row < n; row++)
    for (let j = 0; j < outFeatures; j++) {
      let sum = 0;
      for (let i = 0, x = row * inFeatures, w = j * inFeatures; i < inFeatures; i++, x++, w++)
        sum += rows[x]! * weight[w]!;
      result[row * outFeatures + j] = activation(sum + (bias?.[j] ?? 0));
    }
  return result;
}

async function tensor(file: SafetensorsFile, name: string, shape: readonly number[]): Promise<Float32Array> {
  const entry = file.tensors.get(name);
  if (entry?.shape.join() === shape.join()) return file.float32(name);
  throw new FlatrankError(
    'ERR_BAD_FILE',
    `Expected ${file.path} to hold \`${name}\` of shape (${shape.join(', ')}) but ` +
      (entry ? `its shape is (${entry.shape.join(', ')})` : 'it does not'),
  );
}

/** The error function: its Taylor series near zero, the continued fraction of erfc further out. Good to 1e-14. */
function erf(x: number): number {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= -(x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / 2 / (z + fraction);
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * (z + fraction)));
}
