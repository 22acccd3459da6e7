// Builds the native test program and runs it once per instruction set this machine has.
//   node scripts/native-tests.mjs [--sanitize=address,undefined|thread] [filter]
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sanitize = process.argv.find((a) => a.startsWith('--sanitize='))?.slice('--sanitize='.length) ?? '';
const filter = process.argv.slice(2).filter((a) => !a.startsWith('--'));
const build = `build-tests${sanitize ? `-${sanitize.replace(',', '-')}` : ''}`;

run('cmake', ['-S', '.', '-B', build, '-DFLATRANK_TESTS=ON', `-DFLATRANK_SANITIZE=${sanitize}`]);
run('cmake', ['--build', build, '--parallel', '2']);
for (const isa of ['scalar', 'avx2', 'avx512', 'neon']) {
  const result = spawnSync(`${root}${build}/flatrank_tests`, filter, {
    env: { ...process.env, FLATRANK_ISA: isa, FLATRANK_THREADS: '4', TSAN_OPTIONS: 'halt_on_error=1' },
    encoding: 'utf8',
  });
  const output = `${result.stdout}${result.stderr}`;
  if (output.includes('FLATRANK_ISA')) console.log(`${isa}: skipped, this processor cannot run it`);
  else if (result.status === 0) console.log(`${isa}: ${output.trim().split('\n').at(-1)}`);
  else throw new Error(`${isa}: exit ${result.status ?? result.signal}\n${output}`);
}

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${error ?? `${stdout}${stderr}`}`);
}
