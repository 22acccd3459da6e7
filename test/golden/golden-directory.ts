import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the recorded outputs lie: FLATRANK_GOLDEN, or the ones of the repository. */
export const goldenDirectory = path.resolve(
  process.env['FLATRANK_GOLDEN'] ?? fileURLToPath(new URL('../fixtures/golden', import.meta.url)),
);
