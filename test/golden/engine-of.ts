import { Engine } from '../../dist/train/engine.js';
import type { Trainee } from '../../dist/train/trainee.js';

/** An engine over a model, without dropout. */
export const engineOf = ({ encoder, head, weights, trained }: Trainee): Promise<Engine> =>
  Engine.create({ encoder, head, weights, trained, threads: 2, dropout: false, seed: 0 });
