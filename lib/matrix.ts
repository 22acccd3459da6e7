import { FlatrankError, checkInteger, describe, invalidArgument } from './errors.js';

/** A row-major matrix of 32-bit floats: `rows` x `cols`, row `i` at `data[i * cols]`. */
export class Matrix {
  /** (rows · cols), row-major. */
  readonly data: Float32Array;
  readonly rows: number;
  readonly cols: number;

  /**
   * @param data (rows · cols), row-major; kept, not copied
   * @throws FlatrankError `ERR_INVALID_ARGUMENT` where `data` is not a Float32Array of rows · cols values
   */
  constructor(data: Float32Array, rows: number, cols: number) {
    checkInteger('rows', rows, 0);
    checkInteger('cols', cols, 0);
    if (!(data instanceof Float32Array) || data.length !== rows * cols)
      throw invalidArgument('data', `a Float32Array of ${rows} x ${cols} values`, data);
    this.data = data;
    this.rows = rows;
    this.cols = cols;
  }

  /** A view of row `i` (it shares memory with `data`). */
  row(i: number): Float32Array {
    if (!Number.isInteger(i) || i < 0 || i >= this.rows)
      throw invalidArgument('i', `a row index below ${this.rows}`, i);
    return this.data.subarray(i * this.cols, (i + 1) * this.cols);
  }
}

/** Copies of the rows with these numbers, in this order. */
export function pickRows(matrix: Matrix, which: readonly number[]): Matrix {
  const data = new Float32Array(which.length * matrix.cols);
  for (const [to, from] of which.entries()) data.set(matrix.row(from), to * matrix.cols);
  return new Matrix(data, which.length, matrix.cols);
}

/** What is accepted where vectors are expected: a {@link Matrix} (or anything of its shape), or its values alone. */
export type MatrixLike = Float32Array | MatrixShape;

type MatrixShape = Pick<Matrix, 'data' | 'rows' | 'cols'>;

/** Checks that `x` is a {@link Matrix}, or of the shape of one, and returns it; `expectation` says what else would do. */
export function checkMatrix(name: string, x: MatrixShape, expectation = 'a Matrix'): MatrixShape {
  if (typeof x !== 'object' || (x as unknown) === null || !(x.data instanceof Float32Array))
    throw invalidArgument(name, expectation, x);
  const rows = checkInteger(`${name}.rows`, x.rows, 0);
  const cols = checkInteger(`${name}.cols`, x.cols, 0);
  if (x.data.length !== rows * cols)
    throw invalidArgument(`${name}.data`, `a Float32Array of ${rows} x ${cols} values`, x.data);
  return x;
}

/**
 * The values and row count of `x`, checked to be rows of `dimension` values each.
 * @throws FlatrankError `ERR_DIMENSION` for another dimension, `ERR_INVALID_ARGUMENT` for anything that is not a matrix
 */
export function rowsOf(name: string, x: MatrixLike, dimension: number): { data: Float32Array; rows: number } {
  if (x instanceof Float32Array) {
    if (x.length % dimension !== 0)
      throw new FlatrankError(
        'ERR_DIMENSION',
        `Expected \`${name}\` to hold rows of ${dimension} values but received ${describe(x)}`,
      );
    return { data: x, rows: x.length / dimension };
  }
  const { data, rows, cols } = checkMatrix(name, x, 'a Float32Array or a Matrix');
  if (cols !== dimension)
    throw new FlatrankError('ERR_DIMENSION', `Expected \`${name}\` to have ${dimension} columns but received ${cols}`);
  return { data, rows };
}
