import { gzipSync } from 'node:zlib';
import { readJsonArray } from 'flatrank';
import { describe, expect, test } from 'vitest';
import { all, failure, file } from './data-files.js';

describe('readJsonArray', () => {
  test('reads objects with their lines, whatever stands in strings, in any layout', async () => {
    const text = '\uFEFF \r\n[{"a":1}, \r\n {"b":"],}{\\"[\\\\"},{"c":[{"d":[1,2]},":"]}\r\n\r\n,\n{}\n]\n';
    expect(await all(readJsonArray(file('a.json', text)))).toEqual([
      { line: 2, fields: { a: 1 } },
      { line: 3, fields: { b: '],}{"[\\' } },
      { line: 3, fields: { c: [{ d: [1, 2] }, ':'] } },
      { line: 6, fields: {} },
    ]);
  });

  test('an element longer than any chunk, gzipped', async () => {
    const long = '한]'.repeat(300_000);
    const path = file('long.json.gz', gzipSync(JSON.stringify([{ t: 1 }, { t: long }, { t: 2 }], null, 1)));
    expect((await all(readJsonArray(path))).map(({ fields }) => fields['t'])).toEqual([1, long, 2]);
  });

  test('takes the array of one key, and only of the outermost object', async () => {
    const path = file('at.json', '{"v":"data","x":{"data":[{"no":1}]},"data":[{"yes":1},{"data":[]}],"z":[[],{}]}');
    expect(await all(readJsonArray(path, { at: 'data' }))).toEqual([
      { line: 1, fields: { yes: 1 } },
      { line: 1, fields: { data: [] } },
    ]);
    expect(await all(readJsonArray(file('none.json', '[ ]')))).toEqual([]);
    expect(await all(readJsonArray(file('none-at.json', '{"data":[\n]}'), { at: 'data' }))).toEqual([]);
  });

  test.each([
    ['{"a":1}', 'FILE:1 to be a JSON array of objects but received an object'],
    ['', 'FILE to be a JSON array of objects but received one without'],
    ['7', 'FILE:1 to be a JSON array of objects but received "7"'],
    ['"a"', String.raw`FILE:1 to be a JSON array of objects but received "\""`],
    ['[\n{"a":1}', 'FILE to be a whole JSON file but received one that ends early'],
    ['[{"a":"b', 'FILE to be a whole JSON file but received one that ends early'],
    ['[{"a":1},\n]', 'FILE:2 to be a JSON object but received ""'],
    ['[\n{"a":1}\n{"b":2}]', String.raw`FILE:2 to be a JSON object but received "{\"a\":1}\n{\"b\":2}"`],
    ['[1]', 'FILE:1 to be a JSON object but received 1'],
    ['[{"a":1}}', 'FILE:1 to be a JSON array of objects but received "}"'],
    ['[]\n[]', 'FILE:2 to be a JSON array of objects but received an array'],
    ['[]\n x', 'FILE:2 to be a JSON array of objects but received "x" behind its end'],
  ])('refuses %j, naming file and line', async (text, expected) => {
    const path = file('bad.json', text);
    expect(await failure(readJsonArray(path), path)).toBe(`ERR_BAD_FILE Expected ${expected}`);
  });

  test.each(['{"dat":[]}', '{"data":{}}', '{"data":3}', '[]', '{"data":'])('has no array at data: %s', async (text) => {
    const path = file('bad.json', text);
    expect(await failure(readJsonArray(path, { at: 'data' }), path)).toMatch(/^ERR_BAD_FILE Expected FILE/);
  });
});
