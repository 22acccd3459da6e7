// The grid in pieces of a few minutes, a command a line, for machines that are wanted by others too:
//   node bench/search/pieces.mjs | while read -r piece; do timeout 240 sh -c "$piece"; done; node bench/search.mjs --report
// What is measured twice counts once, the last time; a piece that was cut off keeps what it had.
const everyCount = '1,4,16,64,256,1024';
const pieces = [];
const piece = (options, isa) => {
  const words = Object.entries(options).map(([name, value]) => `--${name} ${value}`);
  pieces.push(`${isa ? `FLATRANK_ISA=${isa} ` : ''}node bench/search.mjs --fp32 ${words.join(' ')}`);
};

// What the goals are about, with both sets of kernels.
for (const isa of ['', 'avx2'])
  for (const d of [768, 384]) piece({ data: 'clustered', n: 100_000, d, nq: everyCount, k: 10, peers: 'faiss' }, isa);
for (const n of [1000, 10_000])
  for (const d of [384, 768]) piece({ data: 'clustered', n, d, nq: everyCount, k: '10,100' });
for (const d of [384, 768]) {
  piece({ data: 'clustered', n: 100_000, d, nq: '1,4,16,64', k: 10 });
  piece({ data: 'clustered', n: 100_000, d, nq: everyCount, k: 100, peers: 'faiss' });
}
for (const data of ['gaussian', 'duplicates', 'offset', 'outliers'])
  for (const d of [384, 768]) {
    piece({ data, n: '1000,10000', d, nq: everyCount, k: '10,100', peers: 'faiss' });
    piece({ data, n: 100_000, d, nq: everyCount, k: 10, peers: 'faiss' });
    piece({ data, n: 100_000, d, nq: '1,16,256', k: 100, peers: 'faiss' });
  }
piece({ data: 'minilm', n: '1000,10000', d: 384, nq: everyCount, k: '10,100', peers: 'faiss' });
for (const data of ['clustered', 'gaussian'])
  for (const d of [384, 768])
    for (const nq of ['1,4,16', '64', '256', '1024']) piece({ data, n: 1_000_000, d, nq, k: 10, peers: 'faiss' });

console.log(pieces.join('\n'));
