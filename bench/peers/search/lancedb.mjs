// LanceDB without an index, a table in a folder of its own, all queries of a batch at once.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { serve } from './serve.mjs';

const [lancedb, arrow] = await Promise.all(process.argv.slice(2).map((m) => import(m)));
const folder = mkdtempSync(path.join(tmpdir(), 'flatrank-lancedb-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const database = await lancedb.connect(folder);
let table;
await serve({
  load: async (vectors, d, n) => {
    const list = new arrow.FixedSizeList(d, new arrow.Field('item', new arrow.Float32(), true));
    const schema = new arrow.Schema([
      new arrow.Field('id', new arrow.Int32(), true),
      new arrow.Field('vector', list, true),
    ]);
    for (let begin = 0; begin < n; begin += 20_000) {
      const rows = Array.from({ length: Math.min(20_000, n - begin) }, (_, i) => ({
        id: begin + i,
        vector: Array.from(vectors.subarray((begin + i) * d, (begin + i + 1) * d)),
      }));
      if (begin === 0) table = await database.createTable('rows', rows, { schema, mode: 'overwrite' });
      else await table.add(rows);
    }
  },
  search: async (queries, nq, k, d) => {
    const found = [];
    for (let j = 0; j < nq; j++) {
      const query = table.search(Array.from(queries.subarray(j * d, (j + 1) * d)));
      const rows = await query.select(['id', '_distance']).limit(k).toArray();
      found.push(...rows.map(({ id }) => id));
    }
    return found;
  },
});
