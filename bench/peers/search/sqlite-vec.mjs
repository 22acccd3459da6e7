// sqlite-vec's vec0 table in memory, a query a statement.
import { serve } from './serve.mjs';

const [{ load: loadExtension }, { default: Database }] = await Promise.all(process.argv.slice(2).map((m) => import(m)));
const bytes = (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
let database;
await serve({
  load: (vectors, d, n) => {
    database = new Database(':memory:');
    loadExtension(database);
    database.exec(`create virtual table rows using vec0(embedding float[${d}])`);
    const insert = database.prepare('insert into rows(rowid, embedding) values (?, ?)');
    database.transaction(() => {
      for (let i = 0; i < n; i++) insert.run(BigInt(i), bytes(vectors.subarray(i * d, (i + 1) * d)));
    })();
  },
  search: (queries, nq, k, d) => {
    const select = database
      .prepare('select rowid from rows where embedding match ? and k = ? order by distance')
      .pluck();
    return Array.from({ length: nq }, (_, j) => select.all(bytes(queries.subarray(j * d, (j + 1) * d)), k)).flat();
  },
});
