// Linter and formatter for TypeScript and C++ in one command; --fix formats in place.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const fix = process.argv.includes('--fix');
const bin = path.join(root, 'node_modules', '.bin');

const cpp = ['native', 'test/native', 'bench/gpu'].flatMap((folder) =>
  readdirSync(path.join(root, folder), { recursive: true })
    .filter((file) => /\.(cpp|cuh?|h|inl)$/.test(file))
    .map((file) => path.join(folder, file)),
);

const steps = [
  ['prettier', [fix ? '--write' : '--check', '--log-level=warn', '.']],
  ['eslint', [...(fix ? ['--fix'] : []), '--max-warnings=0', '.']],
  ['clang-format', fix ? ['-i', ...cpp] : ['--dry-run', '--Werror', ...cpp]],
];
let failed = false;
for (const [tool, args] of steps) {
  const { status, error } = spawnSync(path.join(bin, tool), args, { cwd: root, stdio: 'inherit' });
  if (error) console.error(error.message);
  if (status !== 0) failed = true;
}

// The compiler is the linter of C++: every warning of the strict set is an error here.
const build = 'build-lint';
for (const args of [
  ['-S', '.', '-B', build, '-DFLATRANK_LINT=ON', '-DCMAKE_BUILD_TYPE=Debug'],
  ['--build', build, '--parallel', '2'],
]) {
  const { status, stdout, stderr } = spawnSync('cmake', args, { cwd: root, encoding: 'utf8' });
  if (status === 0) continue;
  console.error(`${stdout}${stderr}`);
  failed = true;
  break;
}
process.exit(failed ? 1 : 0);
