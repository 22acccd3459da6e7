/** The public surface of flatrank, and nothing else. */
export { FlatrankError, errorCodes, type FlatrankErrorCode } from './errors.js';
export { Matrix, type MatrixLike } from './matrix.js';
export * from './data/index.js';
export * from './evaluate/index.js';
export * from './flat/index.js';
export * from './model/index.js';
export * from './retriever/index.js';
export * from './train/index.js';
export * from './tune/index.js';
