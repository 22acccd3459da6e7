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
      if (json) process.stdout.write(`${JSON.stringify(info, null, 2)}\n`);
      else process.stdout.write(render(info));
    });
}

/** What is told of a store: counts, sizes, and its model. */
async function describeStore(store: string): Promise<Record<string, unknown>> {
  const manifest = await readManifest(store);
  const { documents, dimension, metric, segments, generation, created, changed, model } = manifest;
  const rows = segments.reduce((sum, segment) => sum + segment.rows, 0);
  const removed = segments.reduce((sum, segment) => sum + (segment.removed?.rows ?? 0), 0);
  const bytes = await bytesOf(store, manifest);
  const counts = { documents, rows: rows - removed, removedRows: removed, segments: segments.length, bytes };
  return { store, ...counts, dimension, metric, created, changed, generation, model };
}

async function bytesOf(store: string, { segments }: Manifest): Promise<number> {
  const names = segments.flatMap(({ name, removed }) => [...segmentFiles(name), ...(removed ? [removed.file] : [])]);
  const sizes = await Promise.all(names.map((name) => stat(join(store, name)).catch(() => undefined)));
  return sizes.reduce((sum, size) => sum + (size?.size ?? 0), 0);
}

function render(info: Record<string, unknown>): string {
  const { model, ...rest } = info as { model: Manifest['model'] } & Record<string, unknown>;
  const lines = { ...rest, model: model.source?.model ?? 'not known', fingerprint: model.fingerprint ?? 'none' };
  const width = Math.max(...Object.keys(lines).map((name) => name.length));
  return Object.entries(lines)
    .map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value))}\n`)
    .join('');
}
