// Builds the addon for this machine and puts it where an installed package looks for it (node-gyp-build's layout):
// prebuilds/<platform>-<arch>/flatrank[.glibc|.musl].node. `npm pack` takes all that lie there, so files built on other
// machines can be put beside it.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { status } = spawnSync('npx', ['cmake-js', 'compile'], { cwd: root, stdio: 'inherit', shell: true });
if (status !== 0) process.exit(1);

const libc =
  process.platform === 'linux' ? (process.report.getReport().header.glibcVersionRuntime ? '.glibc' : '.musl') : '';
const folder = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
const target = path.join(folder, `flatrank${libc}.node`);
mkdirSync(folder, { recursive: true });
copyFileSync(path.join(root, 'build', 'Release', 'flatrank.node'), target);
console.log(`${path.relative(root, target)}: ${statSync(target).size} bytes`);
