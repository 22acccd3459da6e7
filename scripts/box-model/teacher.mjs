// The teacher's embeddings of English texts, kept on disk, and their principal components: as many as the student has values.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Matrix, SentenceTransformer } from 'flatrank';

const chunk = 2048;

/** (texts, 384) embeddings of length 1. Texts are taken in chunks, each kept when it is done. */
export async function teacherEmbeddings(directory, texts, folder, { maxSeqLength, onProgress }) {
  mkdirSync(folder, { recursive: true });
  let teacher;
  const parts = [];
  for (let from = 0; from < texts.length; from += chunk) {
    const part = texts.slice(from, from + chunk);
    const name = createHash('sha256')
      .update(JSON.stringify([maxSeqLength, part]))
      .digest('hex')
      .slice(0, 24);
    const file = path.join(folder, `${name}.f32`);
    if (!existsSync(file)) {
      teacher ??= await SentenceTransformer.load(directory, { maxSeqLength, precision: 'int8' });
      const { data } = await teacher.encode(part, { normalize: true });
      writeFileSync(`${file}.tmp`, data);
      renameSync(`${file}.tmp`, file);
    }
    const bytes = readFileSync(file);
    parts.push(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
    onProgress({ done: from + part.length, total: texts.length });
  }
  await teacher?.dispose();
  const cols = parts[0].length / Math.min(chunk, texts.length);
  const data = new Float32Array(texts.length * cols);
  parts.forEach((part, i) => data.set(part, i * chunk * cols));
  return new Matrix(data, texts.length, cols);
}

/**
 * Embeddings projected on their first principal components (learnt from at most `sample` of them, without taking the mean
 * off, as sentence-transformers' distillation to fewer values does), each scaled to the length √dimension, at which values
 * are about as large as a layer normalisation leaves them.
 */
export function reduced(embeddings, dimension, sample = 20_000) {
  const components = principalComponents(embeddings, dimension, sample);
  const { rows, cols } = embeddings;
  const data = new Float32Array(rows * dimension);
  let kept = 0;
  for (let i = 0; i < rows; i++) {
    const x = embeddings.row(i);
    const y = data.subarray(i * dimension, (i + 1) * dimension);
    let norm = 0;
    for (let k = 0; k < dimension; k++) {
      let sum = 0;
      for (let j = 0, at = k * cols; j < cols; j++, at++) sum += components[at] * x[j];
      y[k] = sum;
      norm += sum * sum;
    }
    kept += norm / rows;
    const factor = Math.sqrt(dimension / norm);
    for (let k = 0; k < dimension; k++) y[k] *= factor;
  }
  return { targets: new Matrix(data, rows, dimension), kept };
}

export function principalComponents(embeddings, dimension, sample) {
  const { rows, cols: n } = embeddings;
  const every = Math.max(1, Math.floor(rows / sample));
  const covariance = new Float64Array(n * n);
  const mean = new Float64Array(n);
  let count = 0;
  for (let i = 0; i < rows; i += every, count++) {
    const x = embeddings.row(i);
    for (let a = 0; a < n; a++) {
      mean[a] += x[a];
      for (let b = 0; b <= a; b++) covariance[a * n + b] += x[a] * x[b];
    }
  }
  for (let a = 0; a < n; a++)
    for (let b = 0; b <= a; b++) {
      const value = covariance[a * n + b] / count - (mean[a] / count) * (mean[b] / count);
      covariance[a * n + b] = covariance[b * n + a] = value;
    }
  const { values, vectors } = eigen(covariance, n);
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a]);
  const components = new Float64Array(dimension * n);
  for (let k = 0; k < dimension; k++) for (let j = 0; j < n; j++) components[k * n + j] = vectors[order[k] * n + j];
  return components;
}

/** Eigenvalues and eigenvectors (as rows) of a symmetric matrix: Jacobi's rotations, cyclically. */
function eigen(a, n) {
  const vectors = new Float64Array(n * n);
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1;
  const rotate = (m, p, q, c, s) => {
    for (let i = 0, x = p * n, y = q * n; i < n; i++, x++, y++) {
      const u = m[x];
      const v = m[y];
      m[x] = c * u - s * v;
      m[y] = s * u + c * v;
    }
  };
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = 0; q < p; q++) off += a[p * n + q] ** 2;
    if (off < 1e-20) break;
    for (let p = 0; p < n - 1; p++)
      for (let q = p + 1; q < n; q++) {
        const apq = a[p * n + q];
        if (Math.abs(apq) < 1e-14) continue;
        const theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
        const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        const s = t * c;
        rotate(a, p, q, c, s);
        for (let i = 0; i < n; i++) {
          const u = a[i * n + p];
          const v = a[i * n + q];
          a[i * n + p] = c * u - s * v;
          a[i * n + q] = s * u + c * v;
        }
        rotate(vectors, p, q, c, s);
      }
  }
  return { values: Float64Array.from({ length: n }, (_, i) => a[i * n + i]), vectors };
}
