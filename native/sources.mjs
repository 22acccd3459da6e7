// Prints the sources of one list in sources.cmake, for binding.gyp: node native/sources.mjs CORE
import { readFileSync } from 'node:fs';

const text = readFileSync(new URL('sources.cmake', import.meta.url), 'utf8');
const list = new RegExp(`set\\(FLATRANK_${process.argv[2]}_SOURCES([^)]*)\\)`).exec(text);
if (!list) throw new Error(`no list FLATRANK_${process.argv[2]}_SOURCES in sources.cmake`);
console.log(list[1].trim().split(/\s+/).join('\n'));
