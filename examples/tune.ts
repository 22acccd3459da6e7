// Tunes a retriever to questions with contexts, and asks the result.
//   npx tsx examples/tune.ts PAIRS.jsonl MODEL OUT [QUESTION]     (Node.js 22.18 and later: node examples/tune.ts …)
import { pathToFileURL } from 'node:url';
import { CrossEncoder, Retriever, tune, type Hit, type TuneOptions, type TuneReport } from 'flatrank';

/** Tunes, and tells on the way what it does. An interrupted run goes on when it is called again. */
export async function tuneTo(options: TuneOptions, log: (line: string) => void): Promise<TuneReport> {
  let current = '';
  const report = await tune({
    ...options,
    onProgress: ({ stage, total }) => {
      if (stage !== current) log(`${(current = stage)} (${total})`);
    },
  });
  for (const { label, hitRates, mrr } of report.systems)
    log(
      `${label}: hit@1 ${hitRates['1']!.toFixed(3)}, hit@10 ${(hitRates['10'] ?? NaN).toFixed(3)}, MRR ${mrr.toFixed(3)}`,
    );
  return report;
}

/** Asks what was tuned, with the blend that the report chose. */
export async function ask(
  out: string,
  { blend }: TuneReport,
  question: string,
): Promise<Hit<Record<string, unknown>>[]> {
  await using crossEncoder = await CrossEncoder.load(`${out}/cross-encoder`);
  await using retriever = await Retriever.open(`${out}/store`, { crossEncoder, readOnly: true });
  return await retriever.retrieve(question, { biK: 30, crossK: 3, blend: blend.weight });
}

async function main([data, model, out, question]: string[]): Promise<void> {
  if (!data || !model || !out) throw new Error('usage: tune.ts PAIRS MODEL OUT [QUESTION]');
  const report = await tuneTo({ data, model, out, crossEncoder: { hardNegatives: 1 } }, console.log);
  if (!question) return;
  for (const { score, text } of await ask(out, report, question)) console.log(score.toFixed(3), text);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main(process.argv.slice(2));
