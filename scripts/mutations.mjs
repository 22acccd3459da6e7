// Shows that the native tests need the bounds: applies one mutation after the other to a copy of native/ and expects the
// test program to fail with each, and to pass with none.
//   node scripts/mutations.mjs
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const mutations = [
  ['nothing', 'native/index/bounds.h', '', ''],
  [
    'half the rounding allowance of the fp32 scan',
    'native/index/bounds.h',
    'dot_error = gamma(roundings)',
    'dot_error = gamma(roundings) / 2',
  ],
  [
    'the residual of a row dropped',
    'native/index/block_codes.cpp',
    'RoundUp(space.error.Residual(encoded, norm))',
    '0.0f',
  ],
  [
    'half the residual of a row',
    'native/index/block_codes.cpp',
    'RoundUp(space.error.Residual(encoded, norm))',
    'RoundUp(space.error.Residual(encoded, norm)) / 2',
  ],
  [
    'the residual of a query dropped',
    'native/index/int8_scan.cpp',
    'terms.residual = error.Residual(encoded, terms.norm)',
    'terms.residual = 0',
  ],
  [
    'half the residual of a query',
    'native/index/int8_scan.cpp',
    'terms.residual = error.Residual(encoded, terms.norm)',
    'terms.residual = error.Residual(encoded, terms.norm) / 2',
  ],
  [
    'a rule that excludes a little more than the bounds do',
    'native/index/int8_scan.cpp',
    'RoundUp(g * terms.norm * (1 + kCodeSlack))',
    'RoundUp(g * terms.norm * 0.6)',
  ],
  [
    '16-bit sums of AVX2 that may overflow',
    'native/kernels/codes_avx2.cpp',
    'if (127.0 * norm1 <= kLargest',
    'if (127.0 * norm1 >= 0 || 127.0 * norm1 <= kLargest',
  ],
];

const copy = mkdtempSync(path.join(tmpdir(), 'flatrank-mutation-'));
let failed = false;
try {
  for (const entry of ['native', 'test/native', 'CMakeLists.txt'])
    cpSync(path.join(root, entry), path.join(copy, entry), { recursive: true });
  run('cmake', ['-S', '.', '-B', 'build', '-DFLATRANK_TESTS=ON']);
  for (const [name, file, from, to] of mutations) {
    const source = readFileSync(path.join(root, file), 'utf8');
    if (!source.includes(from)) throw new Error(`${file} has no "${from}" to mutate`);
    writeFileSync(
      path.join(copy, file),
      source.replace(from, () => to),
    );
    run('cmake', ['--build', 'build', '--parallel', '2']);
    writeFileSync(path.join(copy, file), source);
    const isas = file.includes('avx2') ? ['avx2'] : ['scalar', 'avx2', 'avx512', 'neon'];
    for (const isa of isas) {
      const { status, stderr } = spawnSync(path.join(copy, 'build/flatrank_tests'), [], {
        env: { ...process.env, FLATRANK_ISA: isa },
        encoding: 'utf8',
      });
      if (stderr.includes('FLATRANK_ISA')) continue; // not on this machine
      const caught = status !== 0;
      const wanted = name !== 'nothing';
      if (caught !== wanted) failed = true;
      const why = caught ? `fails: ${stderr.trim().split('\n').at(-1)}` : 'passes';
      console.log(`${caught === wanted ? 'as it should be' : 'NOT AS IT SHOULD BE'}: ${name}, ${isa}: ${why}`);
    }
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: copy, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${error ?? `${stdout}${stderr}`}`);
}
