#!/usr/bin/env node
/** The command line's process: arguments, signals and exit codes. The commands are in files of their own. */
import { CommanderError } from 'commander';
import { FlatrankError } from '../errors.js';
import { printable } from './layout.js';
import { createProgram } from './program.js';

const exitCodes = { ok: 0, failure: 1, usage: 2 } as const;
const signalCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

const interruption = new AbortController();
let exitCodeOfSignal: number | undefined;

for (const [signal, code] of Object.entries(signalCodes))
  process.on(signal, () => {
    // Asked twice: not waiting for anything any more. Of a terminal that closes both the system and the shell may tell.
    if (exitCodeOfSignal !== undefined && signal !== 'SIGHUP') process.exit(code);
    exitCodeOfSignal ??= code;
    interruption.abort();
  });

// Whoever reads has read enough: `flatrank search … | head -1` ends in silence. Results are printed last, so nothing is
// gained by ending here, and what is yet to be closed would be lost.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

// Nobody watches any more, or the terminal is gone: the work goes on without words.
process.stderr.on('error', () => undefined);

async function main(): Promise<number> {
  try {
    await createProgram(interruption.signal).parseAsync();
    return exitCodeOfSignal ?? exitCodes.ok; // what cannot be stopped half-way, such as saving, was done to its end
  } catch (error) {
    if (exitCodeOfSignal !== undefined) return exitCodeOfSignal;
    // Help and version end this way too; what commander has to say it has printed.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    process.stderr.write(`flatrank: ${messageOf(error)}\n`);
    return exitCodes.failure;
  }
}

function messageOf(error: unknown): string {
  if (error instanceof FlatrankError) return `${printable(error.message)} (${error.code})`;
  // Anything else is a fault of ours: the stack is worth having.
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

process.exitCode = await main();
