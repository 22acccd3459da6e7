import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { type Manifest, readManifest, segmentFiles } from '../retriever/store/manifest.js';
import { printable } from './layout.js';
import { exitCodesHelp } from './options.js';

/** `flatrank info`: what a store holds. */
export function infoCommand(): Command {
  return new Command('info')
    .description('Print what a store holds and which model made it.')
    .argument('<store>', 'directory of the store')
    .option('--json', 'print one JSON document')
    .addHelpText('after', exitCodesHelp)
    .action(async (store: string, { json }: { json?: boolean }) => {
      const info = await describeStore(store);
      if (json) process.stdout.write(`${JSON.stringify({ ...info.counts, model: info.model }, null, 2)}\n`);
      else process.stdout.write(render(info));
    });
}

/** What is told of a store. */
interface StoreInfo {
  counts: Record<string, string | number>;
  model: Manifest['model'];
}

async function describeStore(store: string): Promise<StoreInfo> {
  const manifest = await readManifest(store);
  const { documents, dimension, metric, segments, generation, created, changed, model } = manifest;
  const rows = segments.reduce((sum, segment) => sum + segment.rows, 0);
  const removedRows = segments.reduce((sum, segment) => sum + (segment.removed?.rows ?? 0), 0);
  const sizes = { documents, rows: rows - removedRows, removedRows, segments: segments.length };
  const bytes = await bytesOf(store, manifest);
  return { counts: { store, ...sizes, bytes, dimension, metric, created, changed, generation }, model };
}

async function bytesOf(store: string, { segments }: Manifest): Promise<number> {
  const names = segments.flatMap(({ name, removed }) => [...segmentFiles(name), ...(removed ? [removed.file] : [])]);
  const sizes = await Promise.all(names.map((name) => stat(join(store, name)).catch(() => undefined)));
  return sizes.reduce((sum, size) => sum + (size?.size ?? 0), 0);
}

function render({ counts, model }: StoreInfo): string {
  const lines = { ...counts, model: model.source?.model ?? 'not known', fingerprint: model.fingerprint ?? 'none' };
  const width = Math.max(...Object.keys(lines).map((name) => name.length));
  return Object.entries<string | number>(lines)
    .map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value))}\n`)
    .join('');
}
