/** Operators of the com.microsoft domain, which onnxruntime has besides ONNX's own. */
export const contribOps = [
  'SkipLayerNormalization',
  'BiasGelu',
  'FusedMatMul',
  'MatMulIntegerToFloat',
  'MultiHeadAttention',
] as const;

/** Operators that graphs here are made of. */
export type OpName =
  | 'Abs'
  | 'Add'
  | 'And'
  | 'Attention'
  | 'Cast'
  | 'Concat'
  | 'CumSum'
  | 'DequantizeLinear'
  | 'Div'
  | 'Equal'
  | 'Erf'
  | 'Exp'
  | 'Expand'
  | 'Gather'
  | 'Gelu'
  | 'Gemm'
  | 'Greater'
  | 'Identity'
  | 'If'
  | 'LayerNormalization'
  | 'Log'
  | 'MatMul'
  | 'Max'
  | 'Mul'
  | 'Neg'
  | 'Not'
  | 'QuantizeLinear'
  | 'Range'
  | 'ReduceLogSumExp'
  | 'ReduceMax'
  | 'ReduceSum'
  | 'Relu'
  | 'Reshape'
  | 'ScatterElements'
  | 'Shape'
  | 'Sigmoid'
  | 'Sign'
  | 'Slice'
  | 'Softmax'
  | 'Softplus'
  | 'Split'
  | 'Sqrt'
  | 'Sub'
  | 'Tanh'
  | 'Transpose'
  | 'Unsqueeze'
  | 'Where'
  | (typeof contribOps)[number];
