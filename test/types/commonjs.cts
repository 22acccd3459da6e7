/** The package from CommonJS: compiled, never run. */
import flatrank = require('flatrank');

const index: flatrank.IndexFlatL2 = new flatrank.IndexFlatL2(4);
void index;
