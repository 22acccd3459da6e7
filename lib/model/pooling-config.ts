import { z } from 'zod';
import { FlatrankError } from '../errors.js';
import type { PoolingMode } from '../native.js';

/** How a model's token vectors become one vector; several modes are concatenated in their order. */
export interface PoolingPlan {
  readonly modes: readonly PoolingMode[];
  /** Whether the tokens of a prompt are pooled too. */
  readonly includePrompt: boolean;
}

/** Mean over all tokens: what a directory without modules.json gets. */
export const meanPooling: PoolingPlan = { modes: ['mean'], includePrompt: true };

/** Names of modes in configuration files, with ours; the others of sentence-transformers are not known here. */
const modeNames: Readonly<Record<string, PoolingMode>> = {
  cls: 'cls',
  max: 'max',
  mean: 'mean',
  mean_sqrt_len_tokens: 'mean_sqrt_len',
};

/** The booleans of older files, in the order in which sentence-transformers concatenates. */
const booleanNames: readonly (readonly [key: string, mode: string])[] = [
  ['pooling_mode_cls_token', 'cls'],
  ['pooling_mode_max_tokens', 'max'],
  ['pooling_mode_mean_tokens', 'mean'],
  ['pooling_mode_mean_sqrt_len_tokens', 'mean_sqrt_len_tokens'],
  ['pooling_mode_weightedmean_tokens', 'weightedmean'],
  ['pooling_mode_lasttoken', 'lasttoken'],
];

/** The configuration of a Pooling module that does `plan` on token vectors of `hidden` values, as every version reads it that can. */
export function poolingConfigOf(plan: PoolingPlan, hidden: number): Record<string, unknown> {
  const names = plan.modes.map((mode) => Object.keys(modeNames).find((name) => modeNames[name] === mode)!);
  const usual = booleanNames.map(([, name]) => name).filter((name) => names.includes(name));
  // Booleans tell of no order: only versions that read a list can have another one.
  if (usual.join() !== names.join())
    return { embedding_dimension: hidden, pooling_mode: names, include_prompt: plan.includePrompt };
  return {
    word_embedding_dimension: hidden,
    ...Object.fromEntries(booleanNames.map(([key, name]) => [key, names.includes(name)])),
    include_prompt: plan.includePrompt,
  };
}

/** config.json of a Pooling module: one boolean a mode, or since sentence-transformers 5.4 `pooling_mode`. */
export const poolingConfig = z.looseObject({
  pooling_mode: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  include_prompt: z.boolean().nullish(),
});

/**
 * The plan that a Pooling module's configuration describes.
 * @throws FlatrankError `ERR_UNSUPPORTED` where a mode is not one of ours, by its name
 */
export function poolingPlan(path: string, config: z.output<typeof poolingConfig>): PoolingPlan {
  return { modes: modesOf(config).map((name) => mode(path, name)), includePrompt: config.include_prompt ?? true };
}

function modesOf(config: z.output<typeof poolingConfig>): readonly string[] {
  if (config.pooling_mode !== undefined) return [config.pooling_mode].flat();
  const known = booleanNames.filter(([key]) => config[key] === true).map(([, name]) => name);
  // A mode of a later version: its name is all that we know.
  const strange = Object.keys(config).filter(
    (key) => key.startsWith('pooling_mode_') && config[key] === true && !booleanNames.some(([name]) => name === key),
  );
  const modes = [...known, ...strange];
  return modes.length > 0 ? modes : ['mean'];
}

function mode(path: string, name: string): PoolingMode {
  const found = Object.hasOwn(modeNames, name) ? modeNames[name] : undefined;
  if (found) return found;
  throw new FlatrankError(
    'ERR_UNSUPPORTED',
    `Expected the pooling mode of ${path} to be one of ${Object.keys(modeNames).join(', ')} but received '${name}'`,
  );
}
