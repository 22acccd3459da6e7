/** From what a user names to a directory: a directory that is there, the model in the package, or a model of the Hub. */
import { readFile } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { isKnownModelType } from '../encoders/index.js';
import { FlatrankError } from '../errors.js';
import { externalDataOf } from '../formats/onnx-external.js';
import { readWeightMap, weightsIndexName } from '../formats/safetensors-weights.js';
import { HubSnapshot, isHubId, type DownloadProgress } from '../hub/index.js';
import { notify, type OnProgress } from '../runtime/progress.js';
import { encoderConfig, modulesConfig, transformerConfigNames } from './configs.js';
import { noWeights } from './directory.js';
import { isDirectory, readJsonIfAny } from './json-file.js';

/**
 * The name of the bi-encoder and of the cross-encoder for Korean and English that come with the package: what is loaded
 * where no model is named.
 */
export const boxModel = 'box-ko-en';

/** What is looked for under a name. */
export type ModelKind = 'bi-encoder' | 'cross-encoder';

/** What finding a model takes. */
export interface ResolveOptions {
  /** Branch, tag or commit of a model of the Hub; default 'main'. */
  readonly revision?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Files beside the weights, wherever a module lies. */
const configurations = new Set([
  'config.json',
  'config_sentence_transformers.json',
  'modules.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  ...transformerConfigNames,
]);

/**
 * The directory of the model `dirOrHubId`; what a model of the Hub needs and the cache has not is downloaded.
 * @param kind a bi-encoder's name without an owner ('all-MiniLM-L6-v2') means a model of sentence-transformers first, as there
 * @throws FlatrankError `ERR_NOT_FOUND` where there is neither a directory nor a model of that name, `ERR_HUB`, `ERR_IO`
 */
export async function modelDirectory(dirOrHubId: string, o: ResolveOptions, kind: ModelKind): Promise<string> {
  if (dirOrHubId === boxModel) return fileURLToPath(new URL(`../../models/${boxModel}/${kind}`, import.meta.url));
  if ((await isDirectory(dirOrHubId)) || !isHubId(dirOrHubId)) return dirOrHubId; // the reader says what is missing
  const snapshot = await openModel(dirOrHubId, o, kind === 'bi-encoder' ? 'sentence-transformers' : undefined);
  await snapshot.fetch(snapshot.paths.filter((path) => path === 'modules.json'));
  const folders = await moduleFolders(snapshot);
  const files = neededFiles(snapshot.paths, folders, await isKnownArchitecture(snapshot, folders[0]!));
  const onProgress =
    o.onProgress &&
    ((progress: DownloadProgress) => {
      notify(o.onProgress, progress);
    });
  if (!files.some((path) => /\.(safetensors(\.index\.json)?|onnx)$/.test(path)))
    throw noWeights(dirOrHubId, snapshot.paths);
  await snapshot.fetch(files, onProgress);
  const further = await namedFiles(snapshot, files);
  if (further.length > 0) await snapshot.fetch(further, onProgress);
  return snapshot.folder;
}

/** Files of the repository that are named in what was fetched: weights under names that tell nothing. */
async function namedFiles({ folder, paths }: HubSnapshot, fetched: readonly string[]): Promise<string[]> {
  const named: string[] = [];
  for (const path of fetched) {
    const names = await namesIn(join(folder, path)).catch(() => []); // the reader of the directory says what is wrong
    named.push(...names.map((name) => posix.join(posix.dirname(path), name)));
  }
  return named.filter((path) => paths.includes(path) && !fetched.includes(path));
}

async function namesIn(file: string): Promise<string[]> {
  if (basename(file) === weightsIndexName) return [...new Set((await readWeightMap(file)).values())];
  return file.endsWith('.onnx') ? externalDataOf(file) : [];
}

async function openModel(name: string, o: ResolveOptions, owner: string | undefined): Promise<HubSnapshot> {
  const { revision, signal } = o;
  const open = (id: string): Promise<HubSnapshot> => HubSnapshot.open(id, { repoType: 'model', revision, signal });
  try {
    if (owner === undefined || name.includes('/')) return await open(name);
    return await open(`${owner}/${name}`).catch((error: unknown) => {
      if (isNotFound(error)) return open(name);
      throw error;
    });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new FlatrankError(
      'ERR_NOT_FOUND',
      `Expected \`dirOrHubId\` to be a model directory or a model of the Hub but there is no directory '${name}', and: ${error.message}`,
      { cause: error },
    );
  }
}

function isNotFound(error: unknown): error is FlatrankError {
  return error instanceof FlatrankError && error.code === 'ERR_NOT_FOUND';
}

/** Folders of the modules; the repository itself where it names none. The first is the transformer's. */
async function moduleFolders({ folder, paths }: HubSnapshot): Promise<string[]> {
  if (!paths.includes('modules.json')) return [''];
  try {
    const modules = z.parse(modulesConfig, JSON.parse(await readFile(join(folder, 'modules.json'), 'utf8')));
    return modules.map(({ path }) => path.replace(/^\.?\/*|\/+$/g, ''));
  } catch {
    return ['']; // the reader of the directory says what is wrong with it
  }
}

/** Whether the transformer's checkpoint can be read: of another architecture only an ONNX file can. */
async function isKnownArchitecture(snapshot: HubSnapshot, transformer: string): Promise<boolean> {
  const path = transformer === '' ? 'config.json' : `${transformer}/config.json`;
  await snapshot.fetch(snapshot.paths.filter((other) => other === path));
  const config = await readJsonIfAny(join(snapshot.folder, path), encoderConfig).catch(() => undefined);
  return isKnownModelType(config?.model_type);
}

/**
 * Of a repository's files those that a model is read from: configurations and the tokenizer, and of the weights the
 * safetensors, or ONNX where the transformer has none or is not `known` to be read from them.
 */
export function neededFiles(paths: readonly string[], folders: readonly string[], known = true): string[] {
  const all = new Set(paths);
  const needed = new Set(paths.filter((path) => configurations.has(path)));
  for (const [i, folder] of folders.entries()) {
    const prefix = folder === '' ? '' : `${folder}/`;
    const here = paths.filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes('/'));
    const checkpoint = all.has(`${prefix}model.safetensors`)
      ? [`${prefix}model.safetensors`]
      : here.filter((path) => /(^|\/)model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/.test(path));
    // An ONNX file larger than 2 GB has its weights in files beside it, most often in this one.
    const onnx = `${prefix}${all.has(`${prefix}onnx/model.onnx`) ? 'onnx/' : ''}model.onnx`;
    const wanted = i === 0 && (checkpoint.length === 0 || !known);
    const graph = wanted ? [onnx, `${onnx}_data`].filter((path) => all.has(path)) : [];
    const weights = graph.length > 0 ? graph : checkpoint;
    const configs = here.filter((path) => configurations.has(path.slice(prefix.length)));
    for (const path of [...configs, ...weights]) needed.add(path);
  }
  return [...needed];
}
