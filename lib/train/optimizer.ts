import { native } from '../native.js';

/** Constants of AdamW and of clipping. */
export interface OptimizerOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly learningRate: number;
  /** Other learning rates, by the start of names. */
  readonly learningRates: Readonly<Record<string, number>>;
  /** Gradients whose norm is larger are scaled down to it; Infinity leaves them. */
  readonly maxGradNorm: number;
}

/** A parameter that is trained, with everything that belongs to it. */
export interface TrainedParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
  readonly gradient: Float32Array<ArrayBuffer>;
  readonly firstMoment: Float32Array<ArrayBuffer>;
  readonly secondMoment: Float32Array<ArrayBuffer>;
}

/** torch's clip_grad_norm_ adds this to the norm. */
const clipEpsilon = 1e-6;

/** Whether weight decay applies: not to biases and normalisations, as everywhere in this field. */
export const decays = (name: string): boolean => !/bias|layer_?norm/i.test(name);

/** AdamW (Loshchilov and Hutter 2019) with clipping by the global norm, in place over fp32 weights. */
export class Optimizer {
  readonly parameters: readonly TrainedParameter[];
  /** Steps taken. */
  step = 0;
  readonly #options: OptimizerOptions;
  /** Parameters by their learning rate. */
  readonly #groups = new Map<number, TrainedParameter[]>();

  constructor(parameters: readonly TrainedParameter[], options: OptimizerOptions) {
    this.parameters = parameters;
    this.#options = options;
    const others = Object.entries(options.learningRates);
    for (const parameter of parameters) {
      const rate = others.find(([start]) => parameter.name.startsWith(start))?.[1] ?? options.learningRate;
      const group = this.#groups.get(rate);
      if (group) group.push(parameter);
      else this.#groups.set(rate, [parameter]);
    }
  }

  /**
   * Moves the weights by the gradients that were added up over `batches` batches; leaves them where these are not finite.
   * @param factor the schedule's
   * @returns the norm of the gradients' mean, before clipping
   */
  async update(factor: number, batches: number): Promise<number> {
    const { beta1, beta2, epsilon, weightDecay, maxGradNorm } = this.#options;
    const norm = (await native().gradientNorm(this.parameters.map(({ gradient }) => gradient))) / batches;
    if (!Number.isFinite(norm)) return norm;
    const clip = Math.min(1, maxGradNorm / (norm + clipEpsilon));
    this.step++;
    for (const [rate, group] of this.#groups)
      await native().adamw(
        group.map(({ data }) => data),
        group.map(({ gradient }) => gradient),
        group.map(({ firstMoment }) => firstMoment),
        group.map(({ secondMoment }) => secondMoment),
        Int32Array.from(group, ({ name }) => Number(decays(name))),
        weightDecay,
        rate * factor,
        beta1,
        beta2,
        epsilon,
        this.step,
        clip / batches,
      );
    return norm;
  }
}
