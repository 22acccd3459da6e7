import { checkSignal } from '../errors.js';
import { assemble, writeReports } from './report.js';
import { Road } from './road.js';
import { prepare, type StsExamples } from './run.js';
import { checksum, Stages } from './stages.js';
import type { TuneOptions, TuneReport } from './types.js';

/**
 * From questions with their contexts to a retriever tuned to them, and what that bought: splits the rows, measures the base
 * bi-encoder, fine-tunes it with MultipleNegativesRankingLoss, measures it again, trains a cross-encoder, and measures the
 * reranking of its candidates, by the cross-encoder alone and blended with the retrieval score. The blend's weight is chosen
 * on validation rows; no test row is seen in training, and none of the test rows' contexts by the cross-encoder.
 *
 * `out` gets the models (`bi-encoder`, `cross-encoder`), a `store` for `Retriever.open`, and `report.json`, `report.md`,
 * `report.html`. Each stage is kept when it is done and trainings go on from checkpoints: called again with the same options, a
 * run that was interrupted ends with the report it would have had, times aside.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT`, also where `out` holds a run of other options or data; `ERR_LOCKED` where
 *   another process works in `out`; as the readers, `SentenceTransformer.load` and `fit`; `signal.reason` where aborted
 */
export async function tune(options: TuneOptions): Promise<TuneReport> {
  const run = await prepare(options);
  const { plan, data, sts } = run;
  const identity = { ...plan, data: data.sha256, stsData: sts ? examplesChecksum(sts) : null };
  await using stages = await Stages.open(options.out, identity);
  const results = await new Road(run, stages, options).results();
  checkSignal(options.signal);
  const report = assemble(run, results, stages.seconds);
  await writeReports(report, stages);
  return report;
}

function examplesChecksum({ train, dev }: StsExamples): string {
  const parts = (examples: StsExamples['train']): string[] =>
    examples.flatMap(({ texts, label }) => [...texts, String(label)]);
  return checksum([...parts(train), `dev ${dev.length}`, ...parts(dev)]);
}
