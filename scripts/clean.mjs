// Removes the folders named on the command line: tsc leaves outputs of deleted sources behind.
import { rmSync } from 'node:fs';

for (const folder of process.argv.slice(2)) rmSync(folder, { recursive: true, force: true });
