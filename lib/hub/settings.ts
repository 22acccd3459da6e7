/** The Hub's settings as huggingface_hub reads them from the environment. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { FlatrankError, describe } from '../errors.js';

/** Where the Hub is, and where its files are kept. */
export interface HubSettings {
  /** HF_ENDPOINT, without a slash at its end. */
  readonly endpoint: string;
  /** HF_HUB_CACHE, else `hub` in HF_HOME. */
  readonly cache: string;
  /** HF_TOKEN, else what the token file of `hf auth login` holds. */
  readonly token: string | undefined;
  /** HF_HUB_OFFLINE: nothing is asked of the network. */
  readonly offline: boolean;
  /** HF_HUB_DOWNLOAD_TIMEOUT: how long a server may send nothing. */
  readonly timeoutMs: number;
  /** The pause before a failed request is made again; it doubles from one to the next. */
  readonly retryDelayMs: number;
}

/**
 * Reads the settings.
 * @throws FlatrankError `ERR_INVALID_ARGUMENT` where HF_ENDPOINT is not an http(s) address
 */
export async function hubSettings(env: NodeJS.ProcessEnv = process.env): Promise<HubSettings> {
  const set = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const expand = (path: string): string => expandPath(path, env);
  const home = expand(set('HF_HOME') ?? join(set('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'huggingface'));
  const timeout = Number(set('HF_HUB_DOWNLOAD_TIMEOUT') ?? 10);
  return {
    endpoint: endpointOf(set('HF_ENDPOINT') ?? 'https://huggingface.co'),
    cache: expand(set('HF_HUB_CACHE') ?? set('HUGGINGFACE_HUB_CACHE') ?? join(home, 'hub')),
    token: isTrue(set('HF_HUB_DISABLE_IMPLICIT_TOKEN'))
      ? undefined
      : (clean(set('HF_TOKEN') ?? set('HUGGING_FACE_HUB_TOKEN')) ??
        clean(await readFile(expand(set('HF_TOKEN_PATH') ?? join(home, 'token')), 'utf8').catch(() => undefined))),
    offline: isTrue(set('HF_HUB_OFFLINE')) || isTrue(set('TRANSFORMERS_OFFLINE')),
    timeoutMs: timeout > 0 && timeout < 1e6 ? timeout * 1000 : 10_000,
    retryDelayMs: 500,
  };
}

function endpointOf(value: string): string {
  if (/^https?:/i.test(value) && URL.canParse(value)) return value.replace(/\/+$/, '');
  throw new FlatrankError(
    'ERR_INVALID_ARGUMENT',
    `Expected the environment's HF_ENDPOINT to be an http(s) address but received ${describe(value)}`,
  );
}

/** A token without the white space around it; none is none. */
const clean = (token: string | undefined): string | undefined => (token?.trim() === '' ? undefined : token?.trim());
/** A path with the home directory for ~, then the variables of `env` for $NAME and ${NAME}; those not set stay. */
const expandPath = (path: string, env: NodeJS.ProcessEnv): string =>
  path
    .replace(/^~(?=[/\\]|$)/, homedir)
    .replace(/\$(?:(\w+)|\{([^}]*)\})/g, (name, plain?: string, braced?: string) => env[plain ?? braced ?? ''] ?? name);
const isTrue = (value: string | undefined): boolean => /^(1|on|yes|true)$/i.test(value ?? '');
