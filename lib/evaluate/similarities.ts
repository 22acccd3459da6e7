import { setImmediate as nextTurn } from 'node:timers/promises';
import { checkOneOf, invalidArgument } from '../errors.js';
import { Matrix } from '../matrix.js';
import { similarityFunctions, type SimilarityFunction } from '../model/index.js';
import { similarityMatrix } from '../model/similarity.js';

/** Pairs compared between two turns of the event loop. */
const sliceRows = 2048;

/**
 * (n) the similarity of row i of `a` with row i of `b`; higher is more alike (distances are negated), in float32 as
 * Python has them.
 */
export async function pairSimilarities(name: SimilarityFunction, a: Matrix, b: Matrix): Promise<Float32Array> {
  const result = new Float32Array(a.rows);
  for (let i = 0; i < a.rows; i++) {
    if (i % sliceRows === sliceRows - 1) await nextTurn();
    result[i] = similarityMatrix(name, rowOf(a, i), rowOf(b, i)).data[0]!;
  }
  return result;
}

/** Row i as a matrix of one row. */
export function rowOf(m: Matrix, i: number): Matrix {
  return new Matrix(m.row(i), 1, m.cols);
}

/** Rows `from` to `to` of a matrix, sharing its memory. */
export function rowsBetween(m: Matrix, from: number, to: number): Matrix {
  return new Matrix(m.data.subarray(from * m.cols, to * m.cols), to - from, m.cols);
}

/** Checks names of similarity functions; undefined and an empty list leave the choice to the model. */
export function checkSimilarities(
  name: string,
  value: readonly SimilarityFunction[] | undefined,
): SimilarityFunction[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalidArgument(name, 'an array of names of similarity functions', value);
  return value.map((one: unknown, i) => checkOneOf(`${name}[${i}]`, one, similarityFunctions));
}

/** The functions asked for, else the model's own, else cosine. */
export function chooseSimilarities(
  given: readonly SimilarityFunction[],
  model: { readonly similarityFnName?: string },
): readonly SimilarityFunction[] {
  if (given.length > 0) return given;
  return [checkOneOf('model.similarityFnName', model.similarityFnName ?? 'cosine', similarityFunctions)];
}
