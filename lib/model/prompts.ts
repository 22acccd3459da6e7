import { FlatrankError, checkString } from '../errors.js';

/** A model's named prompts, and which is used where a call names none. */
export interface Prompts {
  readonly texts: Readonly<Record<string, string>>;
  readonly defaultName: string | undefined;
}

/** What a call may say about prompts. `prompt` outranks `promptName`. */
export interface PromptOptions {
  /** Text put before every text. */
  readonly prompt?: string | undefined;
  /** Name of one of the model's prompts. */
  readonly promptName?: string | undefined;
}

/**
 * The prompt of a call: `prompt`, else the one that `promptName` names, else the model's default, else none (''), as
 * sentence-transformers resolves it.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` where the model has no prompt of that name; the known ones are listed
 */
export function resolvePrompt(prompts: Prompts, { prompt, promptName }: PromptOptions): string {
  if (prompt !== undefined) return checkString('prompt', prompt);
  const name = promptName === undefined ? prompts.defaultName : checkString('promptName', promptName);
  if (name === undefined) return '';
  const text = Object.hasOwn(prompts.texts, name) ? prompts.texts[name] : undefined;
  if (text !== undefined) return text;
  const known = Object.keys(prompts.texts).map((key) => `'${key}'`);
  throw new FlatrankError(
    'ERR_INVALID_ARGUMENT',
    `Expected \`promptName\` to be one of the model's prompts (${known.join(', ') || 'it has none'}) but received '${name}'`,
  );
}
