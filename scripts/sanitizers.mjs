// The native test program under AddressSanitizer with UndefinedBehaviorSanitizer, and under ThreadSanitizer.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('native-tests.mjs', import.meta.url));
for (const sanitize of ['address,undefined', 'thread']) {
  console.log(`-fsanitize=${sanitize}`);
  const { status } = spawnSync(process.execPath, [script, `--sanitize=${sanitize}`], { stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}
