/** The module that a model's worker thread runs. */
import { parentPort, workerData } from 'node:worker_threads';
import { serve } from '../runtime/serve.js';
import { openModel, type ModelSpec } from './servant.js';

if (parentPort) await serve(parentPort, () => openModel(workerData as ModelSpec));
