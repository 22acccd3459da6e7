import { checkArray, checkObject, invalidArgument } from '../errors.js';
import { Evaluator, type Evaluates, type EvaluateOptions, type Metrics } from './evaluator.js';

/**
 * Several evaluators one after another, as sentence-transformers' `SequentialEvaluator`. The metrics are those of all of
 * them (a later one replaces an earlier one of its name, so give evaluators names), and `sequential_score`, which is
 * primary: made by `mainScoreFunction` from their primary metrics.
 */
export class SequentialEvaluator<Model> extends Evaluator<Model> {
  readonly evaluators: readonly Evaluates<Model>[];
  readonly #mainScoreFunction: (scores: readonly number[]) => number;

  /**
   * @param evaluators of one kind of model
   * @param mainScoreFunction makes one score of all; the last one unless given
   * @throws FlatrankError `ERR_INVALID_ARGUMENT`
   */
  constructor(
    evaluators: readonly Evaluates<Model>[],
    mainScoreFunction: (scores: readonly number[]) => number = (scores) => scores.at(-1) ?? 0,
  ) {
    super('', 'sequential_score');
    if (!checkArray('evaluators', evaluators).every(isEvaluator))
      throw invalidArgument('evaluators', 'an array of evaluators', evaluators);
    if (typeof mainScoreFunction !== 'function')
      throw invalidArgument('mainScoreFunction', 'a function', mainScoreFunction);
    this.evaluators = [...evaluators];
    this.#mainScoreFunction = mainScoreFunction;
  }

  override async evaluate(model: Model, options: EvaluateOptions = {}): Promise<Metrics> {
    const scores: number[] = [];
    const metrics: Metrics = {};
    for (const [i, evaluator] of this.evaluators.entries()) {
      const result = await evaluator.evaluate(model, options);
      options.signal?.throwIfAborted();
      const own = typeof result === 'number' ? { [`evaluator_${i}`]: result } : result;
      scores.push(primaryScore(evaluator, result));
      Object.assign(metrics, own);
    }
    metrics['sequential_score'] = this.#mainScoreFunction(scores);
    return this.report(metrics, 'sequential_score');
  }
}

/** The value of a result that models are compared by: its primary metric, else its first one. */
export function primaryScore(evaluator: Evaluates<never>, result: Metrics | number): number {
  if (typeof result === 'number') return result;
  const name = checkObject('evaluator', evaluator).primaryMetric ?? Object.keys(checkObject('result', result))[0];
  return (name === undefined ? undefined : result[name]) ?? NaN;
}

function isEvaluator(value: unknown): boolean {
  return typeof (value as Evaluates<never> | undefined)?.evaluate === 'function';
}
