import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };

const root = fileURLToPath(new URL('../..', import.meta.url));
const model = path.join(root, 'test/fixtures/golden/models/tiny-bert');
const folder = mkdtempSync(path.join(tmpdir(), 'flatrank-packed-'));
const app = path.join(folder, 'app');

/** Node.js and npm, and nothing that could compile. */
function barePath(): string {
  const bin = path.join(folder, 'bin');
  mkdirSync(bin);
  symlinkSync(process.execPath, path.join(bin, 'node'));
  const npm = execFileSync('which', ['npm'], { encoding: 'utf8' }).trim();
  symlinkSync(npm, path.join(bin, 'npm'));
  return bin;
}

function bare(command: string, args: string[]): string {
  const env = { PATH: path.join(folder, 'bin'), HOME: process.env['HOME'] ?? folder };
  return execFileSync(command, args, { cwd: app, env, encoding: 'utf8' });
}

let tarball: { filename: string; size: number; files: { path: string; size: number }[] };

const program = (imports: string): string => `${imports}
async function main() {
  const encoder = await SentenceTransformer.load(${JSON.stringify(model)});
  const vectors = await encoder.encode(['one text', 'another text']);
  const index = new IndexFlatL2(encoder.dimension);
  await index.add(vectors);
  const { labels } = await index.search(await encoder.encode('another text'), 2);
  console.log([...labels].join(' '));
}
main();
`;

beforeAll(() => {
  execFileSync('npm', ['run', 'prebuild'], { cwd: root });
  // dist/ is built already, and other tests are using it.
  const packed = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
  });
  [tarball] = JSON.parse(packed);
  mkdirSync(app);
  barePath();
  writeFileSync(path.join(app, 'package.json'), '{ "private": true }');
  const file = path.join(folder, tarball.filename);
  bare('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', file]);
}, 300_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

it('runs an ES module', () => {
  writeFileSync(path.join(app, 'program.mjs'), program("import { IndexFlatL2, SentenceTransformer } from 'flatrank';"));
  expect(bare('node', ['program.mjs'])).toBe('1 0\n');
});

it('runs a CommonJS module', () => {
  writeFileSync(
    path.join(app, 'program.cjs'),
    program("const { IndexFlatL2, SentenceTransformer } = require('flatrank');"),
  );
  expect(bare('node', ['program.cjs'])).toBe('1 0\n');
});

it('carries the models in the box, and stays below 45 MB', () => {
  expect(tarball.size).toBeLessThan(45_000_000);
  const carried = tarball.files.filter(({ path: file }) => file.startsWith('models/'));
  expect(carried.map(({ path: file }) => file)).toEqual(
    expect.arrayContaining(['bi-encoder', 'cross-encoder'].map((kind) => `models/box-ko-en/${kind}/model.safetensors`)),
  );
  expect(carried.filter(({ path: file }) => file.endsWith('.onnx'))).toEqual([]);
});

it('loads the models in the box where none is named', () => {
  writeFileSync(
    path.join(app, 'box.mjs'),
    `import { CrossEncoder, SentenceTransformer } from 'flatrank';
    const [encoder, crossEncoder] = [await SentenceTransformer.load(), await CrossEncoder.load()];
    console.log((await encoder.encode('글')).length, (await crossEncoder.rank('사과', ['기차', '사과'])).length);`,
  );
  expect(bare('node', ['box.mjs'])).toBe('256 2\n');
});

it('has the command line on the path of the application', () => {
  expect(bare(path.join(app, 'node_modules/.bin/flatrank'), ['--version']).trim()).toBe(packageJson.version);
});
