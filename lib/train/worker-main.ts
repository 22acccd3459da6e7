/** The module that a training thread runs. */
import { parentPort, type MessagePort } from 'node:worker_threads';
import { toWireError } from '../runtime/protocol.js';
import { workerSpec } from '../runtime/undisturbed.js';
import type { TrainingExample } from './examples.js';
import type { TrainingReply, TrainingRequest, TrainingSpec } from './protocol.js';
import { Trainee } from './trainee.js';
import { train, type TrainerHost } from './trainer.js';

if (parentPort) await work(parentPort, workerSpec() as TrainingSpec);

async function work(port: MessagePort, spec: TrainingSpec): Promise<void> {
  const reply = (message: TrainingReply): void => {
    port.postMessage(message);
  };
  const examples: TrainingExample[][] = spec.plan.losses.map(() => []);
  let stopped = false;
  let answer: ((request: TrainingRequest) => void) | undefined;
  const started = new Promise<void>((resolve) => {
    port.on('message', (request: TrainingRequest) => {
      if (request.type === 'examples')
        for (const example of request.examples) examples[request.objective]!.push(example);
      else if (request.type === 'start') resolve();
      else if (request.type === 'stop') stopped = true;
      else answer?.(request);
    });
  });
  const ask = async (message: TrainingReply): Promise<TrainingRequest> => {
    const answered = new Promise<TrainingRequest>((resolve) => {
      answer = resolve;
    });
    reply(message);
    return answered;
  };
  try {
    const { kind, directory, current, plan, threads } = spec;
    const trainee = await Trainee.open(directory, { kind, freeze: plan.freeze });
    await started;
    const host: TrainerHost = {
      stopped: () => stopped,
      progress: (progress) => {
        reply({ type: 'progress', progress });
      },
      async evaluate(epoch, step) {
        await trainee.saveWeights(current);
        const answer = await ask({ type: 'evaluate', epoch, step });
        return answer.type === 'evaluated' ? answer.result : undefined;
      },
      async best() {
        await ask({ type: 'best' });
      },
    };
    const report = await train({ trainee, plan, examples, threads, modelFiles: directory, host });
    if (report) await trainee.saveWeights(current);
    reply(report ? { type: 'done', report } : { type: 'stopped' });
  } catch (error) {
    reply({ type: 'failed', error: toWireError(error) });
  } finally {
    port.close();
  }
}
