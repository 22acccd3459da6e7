import { FlatrankError } from '../errors.js';
import { Matrix } from '../matrix.js';

/** How a model's vectors are compared; all are "higher is more alike". */
export type SimilarityFunction = 'cosine' | 'dot' | 'euclidean' | 'manhattan';

/** The names of {@link SimilarityFunction}, in the order of sentence-transformers. */
export const similarityFunctions: readonly SimilarityFunction[] = ['cosine', 'dot', 'euclidean', 'manhattan'];

type Kernel = (a: Float32Array, i: number, b: Float32Array, j: number, cols: number) => number;

const dot: Kernel = (a, i, b, j, cols) => {
  let sum = 0;
  for (let c = 0; c < cols; c++) sum += a[i + c]! * b[j + c]!;
  return sum;
};

const kernels: Readonly<Record<Exclude<SimilarityFunction, 'cosine'>, Kernel>> = {
  dot,
  euclidean(a, i, b, j, cols) {
    let sum = 0;
    for (let c = 0; c < cols; c++) sum += (a[i + c]! - b[j + c]!) ** 2;
    return -Math.sqrt(sum);
  },
  manhattan(a, i, b, j, cols) {
    let sum = 0;
    for (let c = 0; c < cols; c++) sum += Math.abs(a[i + c]! - b[j + c]!);
    return -sum;
  },
};

/**
 * Similarity of every row of `a` (n, dimension) with every row of `b` (m, dimension), as sentence-transformers' `cos_sim`,
 * `dot_score`, `euclidean_sim` and `manhattan_sim`; the last two are negated distances. Summed in double precision.
 * @returns (n, m)
 * @throws FlatrankError `ERR_DIMENSION` where the rows of `a` and `b` differ in length
 */
export function similarityMatrix(name: SimilarityFunction, a: Matrix, b: Matrix): Matrix {
  const { cols } = a;
  if (b.cols !== cols)
    throw new FlatrankError('ERR_DIMENSION', `Expected \`b\` to have ${cols} columns as \`a\` but received ${b.cols}`);
  const data = new Float32Array(a.rows * b.rows);
  if (name === 'cosine') {
    const [left, right] = [inverseNorms(a), inverseNorms(b)];
    fill((i, j) => dot(a.data, i * cols, b.data, j * cols, cols) * left[i]! * right[j]!);
  } else {
    const kernel = kernels[name];
    fill((i, j) => kernel(a.data, i * cols, b.data, j * cols, cols));
  }
  return new Matrix(data, a.rows, b.rows);

  function fill(value: (i: number, j: number) => number): void {
    for (let i = 0, at = 0; i < a.rows; i++) for (let j = 0; j < b.rows; j++) data[at++] = value(i, j);
  }
}

/** 1 / |row|; a norm below 1e-12 counts as 1e-12, so that a zero row stays zero. */
function inverseNorms(m: Matrix): Float64Array {
  return Float64Array.from({ length: m.rows }, (_, i) => {
    return 1 / Math.max(Math.sqrt(dot(m.data, i * m.cols, m.data, i * m.cols, m.cols)), 1e-12);
  });
}

/** Scales each row of `rows` (n · cols) to unit length in place, as torch's `normalize`. */
export function normalizeRows(rows: Float32Array, cols: number): void {
  for (let i = 0; i < rows.length; i += cols) {
    const norm = Math.max(Math.sqrt(dot(rows, i, rows, i, cols)), 1e-12);
    for (let c = i; c < i + cols; c++) rows[c] = rows[c]! / norm;
  }
}
