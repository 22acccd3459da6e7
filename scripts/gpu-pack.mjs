// Packs what scripts/gpu-models.sh needs on a machine with a GPU that has neither Node.js nor a network: Node.js itself, the
// built package, its dependencies, and onnxruntime's CUDA provider, in pieces that can be carried one by one.
//   node scripts/gpu-pack.mjs WHEEL [OUT=gpu-pack] [MEGABYTES=25]
// WHEEL is PyPI's onnxruntime-gpu in the version of onnxruntime-node (pip download --no-deps onnxruntime-gpu==…).
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [wheel, out = path.join(root, 'gpu-pack'), megabytes = '25'] = process.argv.slice(2);
if (!wheel) {
  console.error('usage: node scripts/gpu-pack.mjs WHEEL [OUT] [MEGABYTES]');
  process.exit(2);
}

const ours = path.join('node_modules/onnxruntime-node/bin/napi-v6/linux/x64');
const needed = (file) => !/onnxruntime-node\/bin\/napi-v6\/(darwin|win32|linux\/arm64)/.test(file);
const stage = mkdtempSync(path.join(tmpdir(), 'flatrank-pack-'));
try {
  const listed = execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable'], { cwd: root, encoding: 'utf8' });
  const modules = listed.split('\n').filter((folder) => folder.startsWith(path.join(root, 'node_modules')));
  for (const folder of [...modules.map((folder) => path.relative(root, folder)), 'dist', 'build/Release/flatrank.node'])
    cpSync(path.join(root, folder), path.join(stage, folder), { recursive: true, filter: needed });
  cpSync(process.execPath, path.join(stage, 'node'));
  const libraries = ['cuda', 'shared'].map((name) => `onnxruntime/capi/libonnxruntime_providers_${name}.so`);
  execFileSync('unzip', ['-qoj', path.resolve(wheel), ...libraries, '-d', path.join(stage, ours)]);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const piece = path.join(out, 'piece-');
  execFileSync('bash', [
    '-c',
    'set -o pipefail; tar c -C "$0" . | xz -T0 -6 | split -d -b "$1"M - "$2"',
    stage,
    megabytes,
    piece,
  ]);
  console.log(execFileSync('ls', ['-l', out], { encoding: 'utf8' }));
} finally {
  rmSync(stage, { recursive: true, force: true });
}
