import { readFileSync } from 'node:fs';
import { errorCodes } from 'flatrank';
import { expect, it } from 'vitest';

it('docs/errors.md lists every published code, and no other', () => {
  const text = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const listed = [...text.matchAll(/^\| `(ERR_\w+)` +\|/gm)].map(([, code]) => code);
  expect(listed).toEqual(Object.keys(errorCodes));
});
