/** The module that a model's worker thread runs. */
import { parentPort } from 'node:worker_threads';
import { serve } from '../runtime/serve.js';
import { workerSpec } from '../runtime/undisturbed.js';
import { openModel, type ModelSpec } from './servant.js';

if (parentPort) await serve(parentPort, () => openModel(workerSpec() as ModelSpec));
