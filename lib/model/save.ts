/** Writing of a model as a directory that Python's sentence-transformers, transformers.js and flatrank read. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { int8Linears } from '../encoders/index.js';
import { FlatrankError } from '../errors.js';
import { writeSafetensors } from '../formats/safetensors-write.js';
import { classOfActivation, type Activation } from './activation.js';
import type { ModelDirectory, Step } from './directory.js';
import { isDirectory, isFile, readJson } from './json-file.js';
import type { SavedWeights } from './open-encoder.js';
import { poolingConfigOf, type PoolingPlan } from './pooling-config.js';
import type { Prompts } from './prompts.js';
import { copyOnnx, floats, writeOnnx, writeWeights } from './save-weights.js';
import type { SimilarityFunction } from './similarity.js';
import { asTransformersReads, configToSave, passesTypes } from './tokenizer-class.js';
import { pipelineConfig } from './tokens/pipeline.js';

/** A model as it is to be written. */
export interface SavedModel {
  readonly directory: ModelDirectory;
  readonly weights: SavedWeights;
  /** Whether an ONNX file with 8-bit weights is written too. */
  readonly quantized: boolean;
  readonly maxSeqLength: number;
  readonly prompts: Prompts;
  readonly kind:
    | {
        readonly type: 'sentence-transformer';
        /** Values of a token vector. */
        readonly hidden: number;
        readonly pooling: PoolingPlan;
        readonly steps: readonly Step[];
        readonly similarityFnName: SimilarityFunction;
        readonly truncateDim: number | undefined;
      }
    | { readonly type: 'cross-encoder'; readonly activation: Activation };
}

/** Files of a tokenizer besides those written here. */
const tokenizerFiles = [
  'tokenizer.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.txt',
  'vocab.json',
  'merges.txt',
  'sentencepiece.bpe.model',
];

/**
 * Writes `model` to the directory `path`, which is made if need be. Files that are already there are replaced, each at once
 * and only when all of them are written.
 * @throws FlatrankError `ERR_NOT_FOUND` where it cannot be written
 */
export async function saveModel(path: string, model: SavedModel): Promise<void> {
  const target = await realpath(path).catch(() => resolve(path));
  const name = `.${basename(target)}.${randomUUID()}.tmp`;
  // Inside a directory that is there: what lies beside it may be another disk, or nobody's to write to.
  const temporary = join((await isDirectory(target)) ? target : dirname(target), name);
  try {
    await mkdir(temporary, { recursive: true });
    await writeModel(temporary, model);
    await moveInto(temporary, target, await stale(temporary, target, model));
  } catch (error) {
    if (error instanceof FlatrankError) throw error;
    throw new FlatrankError(
      'ERR_NOT_FOUND',
      `Expected ${path} to be a directory that can be written but: ${(error as Error).message}`,
    );
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function writeModel(path: string, model: SavedModel): Promise<void> {
  const { directory, weights, maxSeqLength, prompts, kind } = model;
  if (weights.type === 'onnx' && model.quantized)
    throw new FlatrankError('ERR_UNSUPPORTED', `Expected a checkpoint to quantize but received ${weights.file}`);
  await mkdir(join(path, 'onnx'));
  if (weights.type === 'onnx') await copyOnnx(weights.file, join(path, 'onnx'));
  else {
    await writeWeights(join(path, 'model.safetensors'), weights);
    await writeOnnx(join(path, 'onnx', 'model.onnx'), weights);
    if (model.quantized) {
      const linears = int8Linears(weights.encoder, weights.checkpoint);
      await writeOnnx(join(path, 'onnx', 'model_quantized.onnx'), weights, linears);
    }
  }
  for (const name of tokenizerFiles) {
    const file = join(directory.transformer, name);
    if (await isFile(file)) await copyFile(file, join(path, name));
  }
  await writeTokenizer(path, model);
  await json(path, 'config.json', configOf(model));
  await json(path, 'sentence_bert_config.json', {
    max_seq_length: maxSeqLength,
    do_lower_case: directory.lowercase,
    ...(kind.type === 'cross-encoder' ? sequenceClassification : {}),
  });
  const common = {
    __version__: { flatrank: await version() },
    prompts: prompts.texts,
    default_prompt_name: prompts.defaultName ?? null,
  };
  const modules = [{ path: '', type: 'sentence_transformers.models.Transformer' }];
  if (kind.type === 'cross-encoder')
    await json(path, 'config_sentence_transformers.json', {
      model_type: 'CrossEncoder',
      ...common,
      activation_fn: classOfActivation[kind.activation],
    });
  else {
    await json(path, 'config_sentence_transformers.json', {
      model_type: 'SentenceTransformer',
      ...common,
      similarity_fn_name: kind.similarityFnName,
      ...(kind.truncateDim === undefined ? {} : { truncate_dim: kind.truncateDim }),
    });
    modules.push(await writePooling(path, kind.pooling, kind.hidden));
    for (const step of kind.steps) modules.push(await writeStep(path, step, modules.length));
  }
  await json(
    path,
    'modules.json',
    modules.map((module, idx) => ({ idx, name: String(idx), ...module })),
  );
}

/** The tokenizer as it is here, and the configuration by which transformers makes the same of it. */
async function writeTokenizer(path: string, { directory, weights, maxSeqLength }: SavedModel): Promise<void> {
  const { transformer, tokenizerConfig, config } = directory;
  const source = join(transformer, 'tokenizer.json');
  const asItStands = await readJson(source, pipelineConfig);
  const file = asTransformersReads(asItStands, tokenizerConfig, config);
  if (file !== asItStands) {
    const { normalizer, pre_tokenizer } = file;
    const parts = { normalizer, pre_tokenizer };
    await json(path, 'tokenizer.json', { ...(await readJson(source, z.looseObject({}))), ...parts });
  }
  // A model with one token type and a tokenizer that knows two, as klue/roberta-*: transformers must not pass them on.
  const oneType = weights.type === 'checkpoint' && weights.encoder.architecture.types <= 1;
  const types = !oneType && passesTypes(tokenizerConfig, config);
  await json(path, 'tokenizer_config.json', {
    ...configToSave(file, tokenizerConfig, config, types),
    model_max_length: maxSeqLength,
  });
}

/** What sentence-transformers 6 must be told of a cross-encoder. */
const sequenceClassification = {
  transformer_task: 'sequence-classification',
  modality_config: { text: { method: 'forward', method_output_name: 'logits' } },
  module_output_name: 'scores',
};

function configOf({ directory, weights, kind }: SavedModel): Record<string, unknown> {
  const config: Record<string, unknown> = { ...directory.config };
  if (weights.type === 'onnx') return config;
  const { encoder, labels } = weights;
  const className = encoder.family.className(encoder.modelType);
  config['architectures'] = [`${className}${labels === undefined ? 'Model' : 'ForSequenceClassification'}`];
  delete config['torch_dtype'];
  config['dtype'] = 'float32';
  if (labels !== undefined && Object.keys(config['id2label'] ?? {}).length !== labels) {
    const names = Array.from({ length: labels }, (_, i) => `LABEL_${i}`);
    config['id2label'] = Object.fromEntries(names.map((name, i) => [i, name]));
    config['label2id'] = Object.fromEntries(names.map((name, i) => [name, i]));
    delete config['num_labels'];
    delete config['problem_type']; // of the labels that were
  }
  if (kind.type === 'cross-encoder')
    config['sentence_transformers'] = { activation_fn: classOfActivation[kind.activation] };
  return config;
}

async function writePooling(path: string, plan: PoolingPlan, hidden: number): Promise<{ path: string; type: string }> {
  await mkdir(join(path, '1_Pooling'));
  await json(path, '1_Pooling/config.json', poolingConfigOf(plan, hidden));
  return { path: '1_Pooling', type: 'sentence_transformers.models.Pooling' };
}

async function writeStep(path: string, step: Step, index: number): Promise<{ path: string; type: string }> {
  const folder = `${index}_${step.type === 'dense' ? 'Dense' : 'Normalize'}`;
  await mkdir(join(path, folder));
  if (step.type === 'normalize') return { path: folder, type: 'sentence_transformers.models.Normalize' };
  const { inFeatures, outFeatures, weight, bias, activationClass } = step.dense;
  await json(path, `${folder}/config.json`, {
    in_features: inFeatures,
    out_features: outFeatures,
    bias: bias !== undefined,
    activation_function: activationClass,
  });
  const tensors = new Map([['linear.weight', floats([outFeatures, inFeatures], weight)]]);
  if (bias) tensors.set('linear.bias', floats([outFeatures], bias));
  await writeSafetensors(join(path, folder, 'model.safetensors'), tensors);
  return { path: folder, type: 'sentence_transformers.models.Dense' };
}

/** Files that a model may have, of which one that is left from another model would be read with this one. */
const ownFiles = [
  /^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/,
  /^(onnx\/)?model(_\w+)?\.onnx([._]data)?$/,
  new RegExp(`^(${tokenizerFiles.join('|')})$`),
];

/** Paths of the files in `target` that are not written anew but would be read with what is written to `temporary`. */
async function stale(temporary: string, target: string, { directory, weights }: SavedModel): Promise<string[]> {
  // A graph in its own place: what lies beside it is of the same model, and a checkpoint that is not known here too.
  const source = await realpath(directory.transformer).catch(() => undefined);
  if (weights.type === 'onnx' && source === target) return [];
  const names = await Promise.all(['', 'onnx'].map((folder) => namesIn(target, folder)));
  return names
    .flat()
    .filter((name) => ownFiles.some((pattern) => pattern.test(name)) && !existsSync(join(temporary, name)));
}

async function namesIn(root: string, folder: string): Promise<string[]> {
  const names = await readdir(join(root, folder)).catch(() => []);
  return names.map((name) => (folder === '' ? name : `${folder}/${name}`));
}

/** Moves every file of `from` to its place under `to`, those that name the others last, and removes `left` from there. */
async function moveInto(from: string, to: string, left: readonly string[]): Promise<void> {
  if (!(await isDirectory(to))) {
    await rename(from, to);
    return;
  }
  const entries = await readdir(from, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.sort((a, b) => Number(a.endsWith('.json')) - Number(b.endsWith('.json')))) {
    const place = join(to, file.slice(from.length + 1));
    await mkdir(dirname(place), { recursive: true });
    await rename(file, place);
  }
  for (const name of left) await rm(join(to, name), { force: true });
}

function json(path: string, name: string, value: unknown): Promise<void> {
  return writeFile(join(path, name), `${JSON.stringify(value, null, 2)}\n`);
}

async function version(): Promise<string> {
  const file = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(file) as { version: string }).version;
}
