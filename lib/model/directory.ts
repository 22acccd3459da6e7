/** Reading of a model directory: what sentence-transformers reads of it, in the same order of precedence. */
import { join, normalize, sep } from 'node:path';
import { FlatrankError } from '../errors.js';
import {
  encoderConfig,
  modulesConfig,
  normalizeConfig,
  sentenceTransformersConfig,
  tokenizerConfig,
  transformerConfig,
  transformerConfigNames,
  type EncoderConfig,
  type SentenceTransformersConfig,
  type TokenizerConfig,
} from './configs.js';
import { readDense, type Dense } from './dense.js';
import { isDirectory, isFile, readJson, readJsonIfAny } from './json-file.js';
import { meanPooling, poolingConfig, poolingPlan, type PoolingPlan } from './pooling-config.js';

/** A module after pooling. */
export type Step = { readonly type: 'normalize' } | { readonly type: 'dense'; readonly dense: Dense };

/** What a directory says about its model. */
export interface ModelDirectory {
  /** Where the transformer's own files are: the directory, or the folder that modules.json names. */
  readonly transformer: string;
  readonly onnxFile: string;
  readonly config: EncoderConfig;
  readonly tokenizerConfig: TokenizerConfig;
  /** Whether texts are lower-cased, whatever the tokenizer does. */
  readonly lowercase: boolean;
  /** The longest input in tokens that the directory asks for; not yet held against the position embeddings. */
  readonly maxSeqLength: number;
  /** Empty where there is no modules.json: then sentence-transformers does not look at it either. */
  readonly sentenceTransformers: SentenceTransformersConfig;
  /** What modules.json names after the transformer; undefined where there is no modules.json. */
  readonly modules: { readonly pooling: PoolingPlan | undefined; readonly steps: readonly Step[] } | undefined;
}

/** No length is set anywhere: the most that a 32-bit offset can count. */
const unlimited = 2 ** 31 - 1;

/**
 * Reads the model directory `root`.
 * @throws FlatrankError `ERR_NOT_FOUND` where it or a file is missing, `ERR_BAD_FILE` where a file is damaged, `ERR_UNSUPPORTED`
 *   for a module that is not known (by its name) or a directory without an ONNX file
 */
export async function readModelDirectory(root: string): Promise<ModelDirectory> {
  await checkDirectory(root);
  const listed = await readJsonIfAny(join(root, 'modules.json'), modulesConfig);
  const entries = listed?.map(({ path, type }) => ({ type, directory: within(root, path) }));
  const transformer = entries ? transformerOf(root, entries) : root;
  const config = await readJson(join(transformer, 'config.json'), encoderConfig);
  const tokenizer = (await readJsonIfAny(join(transformer, 'tokenizer_config.json'), tokenizerConfig)) ?? {};
  const module = entries ? await readTransformerConfig(transformer) : undefined;
  const settings =
    entries && (await readJsonIfAny(join(root, 'config_sentence_transformers.json'), sentenceTransformersConfig));
  const positions = (config.max_position_embeddings ?? -1) < 0 ? unlimited : config.max_position_embeddings!;
  return {
    transformer,
    onnxFile: await findOnnx(transformer),
    config,
    tokenizerConfig: tokenizer,
    lowercase: module?.do_lower_case ?? false,
    maxSeqLength: module?.max_seq_length ?? Math.min(tokenizer.model_max_length ?? unlimited, positions),
    sentenceTransformers: settings ?? {},
    modules: entries && (await readModules(root, entries.slice(1))),
  };
}

/** Model types that number positions from pad_token_id + 1 on, as RoBERTa does. */
const robertaFamily = new Set(
  'roberta roberta-prelayernorm xlm-roberta xlm-roberta-xl camembert data2vec-text ibert longformer luke mpnet xmod'.split(
    ' ',
  ),
);

/** The most tokens that the position embeddings hold. */
export function positionLimit({
  max_position_embeddings: positions,
  model_type,
  pad_token_id: pad,
}: EncoderConfig): number {
  if (positions == null || positions < 0) return unlimited;
  return model_type !== undefined && robertaFamily.has(model_type) ? positions - (pad ?? 1) - 1 : positions;
}

/**
 * Pooling and what follows for a sentence model; mean pooling where there is no modules.json, as in sentence-transformers.
 * @throws FlatrankError `ERR_UNSUPPORTED` where modules.json names no pooling
 */
export function sentenceModules(
  root: string,
  { modules }: ModelDirectory,
): { pooling: PoolingPlan; steps: readonly Step[] } {
  if (!modules) return { pooling: meanPooling, steps: [] };
  if (modules.pooling) return { pooling: modules.pooling, steps: modules.steps };
  throw new FlatrankError(
    'ERR_UNSUPPORTED',
    `Expected ${join(root, 'modules.json')} to name a Pooling module but it does not`,
  );
}

interface ModuleEntry {
  readonly type: string;
  readonly directory: string;
}

/** A module's class is the last name of its Python path: packages moved between versions. */
const className = (type: string): string => type.split('.').at(-1)!;

function transformerOf(root: string, entries: readonly ModuleEntry[]): string {
  const [first] = entries;
  if (first && className(first.type) === 'Transformer') return first.directory;
  throw unknownModule(root, first?.type ?? 'nothing', 'begin with a Transformer');
}

async function readModules(
  root: string,
  entries: readonly ModuleEntry[],
): Promise<NonNullable<ModelDirectory['modules']>> {
  let pooling: PoolingPlan | undefined;
  const steps: Step[] = [];
  for (const { type, directory } of entries) {
    const name = className(type);
    if (name === 'Pooling' && !pooling) {
      const path = join(directory, 'config.json');
      pooling = poolingPlan(path, await readJson(path, poolingConfig));
    } else if (name === 'Normalize' && pooling) {
      await checkNormalize(join(directory, 'config.json'));
      steps.push({ type: 'normalize' });
    } else if (name === 'Dense' && pooling) steps.push({ type: 'dense', dense: await readDense(directory) });
    else throw unknownModule(root, type, 'go on with Pooling, then Normalize or Dense');
  }
  return { pooling, steps };
}

/** Normalize has a configuration only since it can act on something else than the embedding. */
async function checkNormalize(path: string): Promise<void> {
  const config = await readJsonIfAny(path, normalizeConfig);
  const other = [config?.module_input_name, config?.module_output_name].find(
    (n) => n != null && n !== 'sentence_embedding',
  );
  if (other != null)
    throw new FlatrankError(
      'ERR_UNSUPPORTED',
      `Expected ${path} to normalize sentence_embedding but received '${other}'`,
    );
}

function unknownModule(root: string, type: string, expectation: string): FlatrankError {
  return new FlatrankError(
    'ERR_UNSUPPORTED',
    `Expected ${join(root, 'modules.json')} to ${expectation} but received the module '${type}'`,
  );
}

async function readTransformerConfig(
  directory: string,
): Promise<{ max_seq_length?: number | null | undefined; do_lower_case?: boolean | null | undefined } | undefined> {
  for (const name of transformerConfigNames) {
    const config = await readJsonIfAny(join(directory, name), transformerConfig);
    if (config) return config;
  }
  return undefined;
}

async function checkDirectory(root: string): Promise<void> {
  if (await isDirectory(root)) return;
  throw new FlatrankError(
    'ERR_NOT_FOUND',
    `Expected \`dirOrHubId\` to be a model directory but there is none at ${JSON.stringify(root)}` +
      (/^[\w.-]+(\/[\w.-]+)?$/.test(root) ? '; Hub ids are not known to this version: download the model first' : ''),
  );
}

async function findOnnx(directory: string): Promise<string> {
  const candidates = [join(directory, 'onnx', 'model.onnx'), join(directory, 'model.onnx')];
  for (const file of candidates) if (await isFile(file)) return file;
  const weights = await isFile(join(directory, 'model.safetensors'));
  throw new FlatrankError(
    weights ? 'ERR_UNSUPPORTED' : 'ERR_NOT_FOUND',
    `Expected an ONNX model ${candidates.join(' or ')} but there is none${weights ? ', only model.safetensors' : ''}`,
  );
}

/** A module's folder; one that leaves the model's directory is refused. */
function within(root: string, path: string): string {
  const inner = normalize(path === '' ? '.' : path);
  if (inner.startsWith('..') || inner.startsWith(sep) || /^[a-zA-Z]:/.test(inner))
    throw new FlatrankError(
      'ERR_BAD_FILE',
      `Expected paths inside the model directory in modules.json but received '${path}'`,
    );
  return join(root, inner);
}
