/** Reading of a model directory: what sentence-transformers reads of it, in the same order of precedence. */
import { readdir } from 'node:fs/promises';
import { join, normalize, sep } from 'node:path';
import { isKnownModelType } from '../encoders/index.js';
import { FlatrankError } from '../errors.js';
import { weightsIndexName, weightsName } from '../formats/safetensors-weights.js';
import {
  encoderConfig,
  modulesConfig,
  normalizeConfig,
  sentenceTransformersConfig,
  tokenizerConfig,
  transformerConfig,
  transformerConfigNames,
  type TransformerConfig,
  type EncoderConfig,
  type SentenceTransformersConfig,
  type TokenizerConfig,
} from './configs.js';
import { readDense, type Dense } from './dense.js';
import { isDirectory, isFile, readJson, readJsonIfAny } from './json-file.js';
import { meanPooling, poolingConfig, poolingPlan, type PoolingPlan } from './pooling-config.js';

/** A module after pooling. */
export type Step = { readonly type: 'normalize' } | { readonly type: 'dense'; readonly dense: Dense };

/** What follows the transformer of a sentence model. */
export interface SentenceModules {
  readonly pooling: PoolingPlan;
  readonly steps: readonly Step[];
}

/** What a directory says about its model. */
export interface ModelDirectory {
  /** Where the transformer's own files are: the directory, or the folder that modules.json names. */
  readonly transformer: string;
  /** What holds the weights: a checkpoint whose graph is built here, or a finished ONNX file. */
  readonly weights: { readonly type: 'checkpoint' } | { readonly type: 'onnx'; readonly file: string };
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
 *   for a module that is not known (by its name)
 */
export async function readModelDirectory(root: string): Promise<ModelDirectory> {
  await checkDirectory('dirOrHubId', root);
  const listed = await readJsonIfAny(join(root, 'modules.json'), modulesConfig);
  const entries = listed?.map(({ path, type }) => ({ type, directory: within(root, path) }));
  const transformer = entries ? transformerOf(root, entries) : root;
  const config = await readJson(join(transformer, 'config.json'), encoderConfig);
  const tokenizer = (await readJsonIfAny(join(transformer, 'tokenizer_config.json'), tokenizerConfig)) ?? {};
  const module = entries ? await readTransformerConfig(transformer) : undefined;
  const settings =
    entries && (await readJsonIfAny(join(root, 'config_sentence_transformers.json'), sentenceTransformersConfig));
  return {
    transformer,
    weights: await findWeights(transformer, config),
    config,
    tokenizerConfig: tokenizer,
    lowercase: module?.do_lower_case ?? false,
    maxSeqLength: (module && longestOf(module)) ?? longestByDefault(tokenizer, config),
    sentenceTransformers: settings ?? {},
    modules: entries && (await readModules(root, entries.slice(1))),
  };
}

/** The longest input where no module says it, as transformers has it. */
function longestByDefault({ model_max_length }: TokenizerConfig, config: EncoderConfig): number {
  const { max_position_embeddings: positions } = config;
  return Math.min(model_max_length ?? unlimited, positions == null || positions < 0 ? unlimited : positions);
}

/**
 * A sentence model's directory as the body of another model: what its modules and settings say is not about that one, as in
 * sentence-transformers. Others stay as they are.
 */
export function withoutModules(directory: ModelDirectory): ModelDirectory {
  if (!directory.modules?.pooling) return directory;
  const { tokenizerConfig: tokenizer, config } = directory;
  const maxSeqLength = longestByDefault(tokenizer, config);
  return { ...directory, lowercase: false, maxSeqLength, sentenceTransformers: {}, modules: undefined };
}

/**
 * What is needed of a directory that holds a tokenizer, for a model of configuration `config` that is yet to have weights.
 * @throws FlatrankError `ERR_NOT_FOUND` where there is no such directory, `ERR_BAD_FILE` where a file is damaged
 */
export async function readTokenizerDirectory(root: string, config: EncoderConfig): Promise<ModelDirectory> {
  await checkDirectory('tokenizerDir', root);
  const tokenizer = (await readJsonIfAny(join(root, 'tokenizer_config.json'), tokenizerConfig)) ?? {};
  return {
    transformer: root,
    weights: { type: 'checkpoint' },
    config,
    tokenizerConfig: tokenizer,
    lowercase: false,
    maxSeqLength: Math.min(tokenizer.model_max_length ?? unlimited, positionLimit(config)),
    sentenceTransformers: {},
    modules: undefined,
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
  if (model_type === undefined || !robertaFamily.has(model_type)) return positions;
  return positions - (model_type === 'mpnet' ? 1 : (pad ?? 1)) - 1; // MPNet's padding is 1 whatever the file says
}

/**
 * Pooling and what follows for a sentence model; mean pooling where there is no modules.json, as in sentence-transformers.
 * @throws FlatrankError `ERR_UNSUPPORTED` where modules.json names no pooling
 */
export function sentenceModules(root: string, { modules }: ModelDirectory): SentenceModules {
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

async function readTransformerConfig(directory: string): Promise<TransformerConfig | undefined> {
  for (const name of transformerConfigNames) {
    const path = join(directory, name);
    const config = await readJsonIfAny(path, transformerConfig);
    for (const key of ['query_length', 'document_length'] as const)
      if (config?.[key] != null)
        throw new FlatrankError('ERR_UNSUPPORTED', `Expected ${path} to have no ${key} but received ${config[key]}`);
    if (config) return config;
  }
  return undefined;
}

/** The length that the Transformer module cuts texts to: what the tokenizer is called with, else made with. */
function longestOf(config: TransformerConfig): number | undefined {
  const { processing_kwargs: call, processor_kwargs, tokenizer_args: made = processor_kwargs } = config;
  return call?.text?.max_length ?? made?.model_max_length ?? config.max_seq_length ?? undefined;
}

async function checkDirectory(name: string, root: string): Promise<void> {
  if (await isDirectory(root)) return;
  throw new FlatrankError(
    'ERR_NOT_FOUND',
    `Expected \`${name}\` to be a model directory but there is none at ${JSON.stringify(root)}`,
  );
}

/** A checkpoint of a known architecture goes before an ONNX file: its graph is faster. */
async function findWeights(directory: string, config: EncoderConfig): Promise<ModelDirectory['weights']> {
  const names = [weightsName, weightsIndexName];
  const checkpoint = (await Promise.all(names.map((name) => isFile(join(directory, name))))).includes(true);
  if (checkpoint && isKnownModelType(config.model_type)) return { type: 'checkpoint' };
  for (const file of [join(directory, 'onnx', 'model.onnx'), join(directory, 'model.onnx')])
    if (await isFile(file)) return { type: 'onnx', file };
  if (checkpoint) return { type: 'checkpoint' }; // refused by its architecture's name when it is opened
  throw noWeights(directory, await readdir(directory));
}

/** The error for a model whose `files` hold no weights that are read here. */
export function noWeights(model: string, files: readonly string[]): FlatrankError {
  const pickle = files.find((name) => /(^|\/)pytorch_model[^/]*\.bin$/.test(name));
  return new FlatrankError(
    'ERR_NOT_FOUND',
    `Expected ${weightsName} or ${weightsIndexName}, or onnx/model.onnx, in ${model} but there is ` +
      (pickle ? `only ${pickle}: load it in Python and save it again, as safetensors` : 'none'),
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
