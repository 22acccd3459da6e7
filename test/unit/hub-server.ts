/** A Hub on loopback: the API, files behind redirects to a CDN of another origin, and whatever a test breaks of it. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { HubSettings } from '../../dist/hub/index.js';

export interface Repo {
  /** Branches and tags, with their commits. */
  readonly refs: Record<string, string>;
  /** Large files (of more than 1,000 bytes) are in the large file storage. */
  readonly files: Record<string, Buffer>;
}

/** A request as it came: which origin, what for, which bytes, and with which token. */
export interface Seen {
  readonly origin: 'hub' | 'cdn';
  readonly method: string;
  readonly url: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** Answers in place of the server and says true, or leaves it to it. */
export type Fault = (request: IncomingMessage, response: ServerResponse, seen: Seen) => boolean | Promise<boolean>;

export const commit = 'c'.repeat(40);
const lastModified = '2024-01-01T00:00:00.000Z';

const hex = (name: string, ...parts: (string | Buffer)[]): string =>
  parts.reduce((hash, part) => hash.update(part), createHash(name)).digest('hex');
export const gitId = (bytes: Buffer): string => hex('sha1', `blob ${bytes.length}\0`, bytes);
export const sha256 = (bytes: Buffer): string => hex('sha256', bytes);
export const isLarge = (bytes: Buffer): boolean => bytes.length > 1000;
/** The name of a file's blob in the cache. */
export const blobName = (bytes: Buffer): string => (isLarge(bytes) ? sha256(bytes) : gitId(bytes));

export class HubServer {
  readonly seen: Seen[] = [];
  readonly repos: Record<string, Repo> = {};
  fault: Fault = () => false;
  /** Entries of one page of a listing. */
  pageSize = 1000;
  /** The token that opens the repositories; without one they are public. */
  token: string | undefined;
  readonly #hub: Server;
  readonly #cdn: Server;

  private constructor() {
    this.#hub = createServer((request, response) => void this.#answer('hub', request, response));
    this.#cdn = createServer((request, response) => void this.#answer('cdn', request, response));
  }

  /** A server that ends with the test. */
  static async start(): Promise<HubServer> {
    const server = new HubServer();
    for (const part of [server.#hub, server.#cdn])
      await new Promise<void>((resolve) => part.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      for (const part of [server.#hub, server.#cdn]) {
        part.close();
        part.closeAllConnections();
      }
    });
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  get cdn(): string {
    return `http://127.0.0.1:${(this.#cdn.address() as AddressInfo).port}`;
  }

  /** Settings with a cache of their own that goes when the test ends. */
  async settings(change: Partial<HubSettings> = {}): Promise<HubSettings> {
    const cache = await mkdtemp(join(tmpdir(), 'flatrank-hub-'));
    onTestFinished(() => rm(cache, { recursive: true, force: true }));
    const { endpoint } = this;
    return { endpoint, cache, token: undefined, offline: false, timeoutMs: 5000, retryDelayMs: 1, ...change };
  }

  /** Requests for a file's bytes. */
  requestsFor(path: string): Seen[] {
    return this.seen.filter(({ url, origin }) => url.endsWith(`/${path}`) && origin === 'cdn');
  }

  async #answer(origin: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const seen = { origin, method, url, range: headers.range, authorization: headers.authorization };
    this.seen.push(seen);
    try {
      if (await this.fault(request, response, seen)) return;
    } catch {
      response.destroy();
      return;
    }
    const { pathname, searchParams } = new URL(url, this.endpoint);
    const path = decodeURIComponent(pathname);
    const closed = this.token !== undefined && origin === 'hub' && headers.authorization !== `Bearer ${this.token}`;
    const api = /^\/api\/(models|datasets)\/(.+?)(?:\/(revision|tree)\/([^/]+))?$/.exec(path);
    const file = /^\/(datasets\/)?([^/]+\/[^/]+|[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    const repo = this.repos[api ? `${api[1]}/${api[2]}` : file ? `${file[1] ?? 'models/'}${file[2]}` : ''];
    const revision = api?.[4] ?? file?.[3] ?? 'main';
    const refs = repo?.refs ?? {};
    const at = refs[revision] ?? Object.values(refs).find((known) => known === revision);
    const bytes = file ? repo?.files[file[4]!] : undefined;
    if (closed) refuse(response, 401, 'RepoNotFound');
    else if (!repo) refuse(response, 404, 'RepoNotFound');
    else if (at === undefined) refuse(response, 404, 'RevisionNotFound');
    else if (api?.[3] === 'tree') this.#list(response, repo, url, Number(searchParams.get('cursor') ?? 0));
    else if (api) json(response, { _id: '1', id: api[2], sha: at, siblings: [], tags: [], lastModified });
    else if (!bytes) refuse(response.setHeader('x-repo-commit', at), 404, 'EntryNotFound');
    else this.#send(origin, request, response.setHeader('x-repo-commit', at), bytes);
  }

  #send(origin: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
    if (isLarge(bytes))
      response.setHeader('x-linked-etag', `"${sha256(bytes)}"`).setHeader('x-linked-size', bytes.length);
    if (origin === 'hub' && isLarge(bytes)) {
      response.writeHead(302, { location: `${this.cdn}${request.url}` }).end();
      return;
    }
    sendBytes(request, response.setHeader('etag', `"${blobName(bytes)}"`), bytes);
  }

  #list(response: ServerResponse, { files }: Repo, url: string, from: number): void {
    const folders = [...new Set(Object.keys(files).flatMap((path) => path.split('/').slice(0, -1)))];
    const entries = [
      ...folders.map((path) => ({ type: 'directory', oid: '0'.repeat(40), size: 0, path })),
      ...Object.entries(files).map(([path, bytes]) => ({
        ...{ type: 'file', oid: gitId(bytes), size: bytes.length, path },
        ...(isLarge(bytes) ? { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } } : {}),
      })),
    ];
    const next = from + this.pageSize;
    if (next < entries.length) {
      const page = new URL(url, this.endpoint);
      page.searchParams.set('cursor', String(next));
      response.setHeader('link', `<${page.href}>; rel="next"`);
    }
    json(response, entries.slice(from, next));
  }
}

/** Sends a file, or the part of it that is asked for. */
export function sendBytes(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const start = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
  const from = Number(start ?? 0);
  if (from > 0 && from >= bytes.length) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    return;
  }
  const range = { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
  response.writeHead(start === undefined ? 200 : 206, {
    'content-length': bytes.length - from,
    ...(start === undefined ? {} : range),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes.subarray(from));
}

/** Sends the beginning of what is asked for and cuts the connection. */
export function cutAfter(request: IncomingMessage, response: ServerResponse, bytes: Buffer, count: number): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  response.writeHead(from > 0 ? 206 : 200, {
    'content-length': bytes.length - from,
    ...(from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
  });
  response.write(bytes.subarray(from, from + count), () => setTimeout(() => response.destroy(), 20));
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

export function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'x-error-code': code, 'x-error-message': `no: ${code}` }).end();
}
