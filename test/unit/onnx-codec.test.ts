import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { FlatrankError } from 'flatrank';
import { decodeOnnx } from '../../dist/formats/onnx-decode.js';
import { encodeOnnx } from '../../dist/formats/onnx-encode.js';
import type { OnnxModel, OnnxTensor } from '../../dist/formats/onnx.js';
import { goldenDirectory } from '../golden/golden-directory.js';

const file = new Uint8Array(readFileSync(join(goldenDirectory, 'models', 'tiny-bert', 'onnx', 'model.onnx')));

const made: OnnxModel = {
  irVersion: 9,
  producer: 'test',
  opsets: { '': 20, 'com.microsoft': 1 },
  metadata: { key: 'value', __proto__x: 'y' },
  graph: {
    name: 'g',
    nodes: [
      {
        op: 'Thing',
        domain: 'com.microsoft',
        name: 'n',
        inputs: ['a', ''],
        outputs: ['b'],
        attributes: {
          f: 0.5,
          zero: 0,
          i: -3n,
          large: 2n ** 62n,
          s: 'text',
          floats: [1, 2.5],
          ints: [1n, -1n],
          strings: ['x', 'y'],
          tensor: { name: 't', type: 'int64', shape: [1], data: new Uint8Array(8) },
          graph: { name: 'inner', nodes: [], inputs: [], outputs: [], initializers: [] },
        },
      },
    ],
    inputs: [{ name: 'a', type: 'float32', shape: ['T', 384] }],
    outputs: [{ name: 'b', type: 'float32', shape: [], sequence: true }],
    initializers: [
      { name: 'w', type: 'float32', shape: [2, 3], data: new Uint8Array(24).fill(7) },
      {
        name: 'x',
        type: 'float16',
        shape: [2 ** 20, 4096],
        external: { location: 'model.safetensors', offset: 2 ** 33 + 8, byteLength: 2 ** 33 },
      },
    ],
  },
};

/** Data as arrays of numbers, which compare by value whatever buffer they are views of. */
const plain = (model: OnnxModel): unknown =>
  JSON.parse(
    JSON.stringify(model, (_, value) =>
      typeof value === 'bigint' ? `${value}n` : value instanceof Uint8Array ? [...value] : value,
    ),
  );

const encoded = (model: OnnxModel): Uint8Array => new Uint8Array(Buffer.concat(encodeOnnx(model)));

describe('ONNX files', () => {
  it('come back as they were written', () => {
    expect(plain(decodeOnnx(encoded(made), 'made'))).toEqual(plain(made));
  });

  it('of other writers are read, written again, and run', async () => {
    const model = decodeOnnx(file, 'model.onnx');
    expect(model.graph.outputs[0]?.name).toBe('last_hidden_state');
    expect(model.graph.inputs[0]).toEqual({ name: 'input_ids', type: 'int64', shape: ['batch', 'seq'] });
    const again = encoded(model);
    expect(plain(decodeOnnx(again, 'again'))).toEqual(plain(model));
    const session = await InferenceSession.create(again);
    expect(session.outputNames).toEqual(['last_hidden_state']);
    await session.release();
  });

  it('have tensors that are views', () => {
    const views = decodeOnnx(file, 'model.onnx').graph.initializers.filter((t) => t.data);
    expect(views.length).toBeGreaterThan(10);
    for (const { data } of views) expect(data!.buffer).toBe(file.buffer);
    const large = new Uint8Array(100_000);
    const tensor: OnnxTensor = { name: 'w', type: 'uint8', shape: [100_000], data: large };
    expect(encodeOnnx({ ...made, graph: { ...made.graph, initializers: [tensor] } })).toContain(large);
  });

  it('with data that do not fit their shape are refused', () => {
    const broken = (tensor: Partial<OnnxTensor>): Uint8Array =>
      encoded({ ...made, graph: { ...made.graph, initializers: [{ ...made.graph.initializers[0]!, ...tensor }] } });
    for (const tensor of [
      { shape: [2, 4] },
      { shape: [2 ** 40, 2 ** 40] },
      { external: { location: '', offset: 0, byteLength: 24 } },
      { external: { location: 'a', offset: 0, byteLength: 23 } },
      { external: { location: 'a', offset: -1, byteLength: 24 } },
    ])
      expect(() => decodeOnnx(broken(tensor), 'broken.onnx')).toThrow(/broken\.onnx to be an ONNX model but/);
  });

  // FLATRANK_FUZZ asks for more.
  const rounds = Number(process.env['FLATRANK_FUZZ'] ?? 2_000);
  it(`damaged in ${rounds} ways are read or refused`, () => {
    let state = 1;
    const below = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    // Small enough that damage hits structure more often than weights.
    const small = encoded(made);
    let refused = 0;
    for (let round = 0; round < rounds; round++) {
      const source = round % 10 === 0 ? file : small;
      let bytes = source.slice();
      for (let flips = below(4); flips >= 0; flips--) bytes[below(Math.min(bytes.length, 4_000))]! ^= 1 << below(8);
      if (round % 3 === 0) bytes = bytes.subarray(0, below(bytes.length));
      try {
        decodeOnnx(bytes, 'fuzzed.onnx');
      } catch (error) {
        expect(error).toBeInstanceOf(FlatrankError);
        expect(error).toMatchObject({ code: 'ERR_BAD_FILE' });
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(rounds / 4);
  });
});
