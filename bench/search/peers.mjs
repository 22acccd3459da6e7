// The peers of the search bench: each in a process of its own, all speaking one protocol of JSON lines:
// { do: 'load', d, vectors, queries } → { ms } of adding, and { do: 'search', nq, k, threads } → { ms, labels }.
import { cpus } from 'node:os';
import { Peer } from '../harness.mjs';

const all = cpus().length;

/** How each is started, which settings it is asked with, and from how much work on (n · d · nq) it is left out. */
export const peers = {
  faiss: { open: () => Peer.python('search_peer', ['faiss', 'numpy']), threads: [1, all] },
  usearch: { open: () => Peer.node('search/usearch', 'usearch'), threads: [all], limit: 4e10 },
  hnswlib: { open: () => Peer.node('search/hnswlib', 'hnswlib-node'), threads: [1], limit: 8e9 },
  'sqlite-vec': {
    open: () => Peer.node('search/sqlite-vec', 'sqlite-vec', 'better-sqlite3'),
    threads: [1],
    limit: 8e9,
  },
  lancedb: { open: () => Peer.node('search/lancedb', '@lancedb/lancedb', 'apache-arrow'), threads: [all], limit: 8e9 },
};
