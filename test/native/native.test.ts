import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('passes the native test program with every instruction set of this machine', { timeout: 600_000 }, () => {
  const script = fileURLToPath(new URL('../../scripts/native-tests.mjs', import.meta.url));
  const output = execFileSync(process.execPath, [script], { encoding: 'utf8' });
  expect(output).toMatch(/scalar: \d+ native tests passed with scalar kernels/);
});
