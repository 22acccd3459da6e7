/** Encoders as graphs: families, their checkpoints, and how tokens lie. */
export { Builder, constantsOf, joinedLinears, inputParameters } from './builder.js';
export type { Dropout, DropoutKind, LinearLayers, ParameterProvider } from './builder.js';
export { classScores, tokenVectors } from './encoder.js';
export { encoderOf, isKnownModelType, knownModelTypes, type Encoder } from './families.js';
export type { Architecture, Family } from './family.js';
export { int8Linears } from './int8.js';
export { GroupedLayout } from './grouped-layout.js';
export { exportedGraph } from './export.js';
export { initialParameters, inMemory, parameterShapes } from './initialize.js';
export { Checkpoint, labelCount, type Parameter, type ParameterSource } from './parameters.js';
export { longText, StreamLayout } from './stream-layout.js';
export { pooledVectors } from './stream-pooling.js';
