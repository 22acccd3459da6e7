/** ONNX graphs for other programs. */
import { Graph } from '../graph/graph.js';
import { Builder, type LinearLayers, type ParameterProvider } from './builder.js';
import { classScores, tokenVectors } from './encoder.js';
import type { Encoder } from './families.js';
import { PaddedLayout } from './padded-layout.js';
import type { Checkpoint } from './parameters.js';

/**
 * The graph of an encoder with padded inputs, as exporters make it: output `last_hidden_state` (batch, sequence, hidden), or
 * with `labels` `logits` (batch, labels).
 */
export function exportedGraph(
  encoder: Encoder,
  checkpoint: Checkpoint,
  labels: number | undefined,
  linears?: LinearLayers,
): Graph {
  const graph = new Graph();
  const layout = new PaddedLayout(graph, encoder.architecture);
  const builder = new Builder(graph, layout, widenedConstants(checkpoint), linears);
  if (labels === undefined) graph.output('last_hidden_state', layout.apart(tokenVectors(builder, encoder, false)));
  else graph.output('logits', classScores(builder, encoder, labels));
  return graph;
}

/** Parameters as 32-bit constants. */
const widenedConstants =
  (checkpoint: Checkpoint): ParameterProvider =>
  (graph, name, shape) => {
    const parameter = checkpoint.get(name, shape);
    return graph.named(name, { type: 'float32', shape }, async () => {
      const values = await parameter.float32();
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    });
  };
