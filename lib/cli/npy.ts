const magic = Buffer.from('\x93NUMPY\x01\x00', 'latin1');
const alignment = 64;

/**
 * The header of a NumPy file, format 1.0, for float32 rows x cols in C order; the values follow it, little-endian. As
 * numpy.lib.format defines it: magic, length of the rest (uint16), a Python dict in ASCII, spaces and a line feed up to
 * a multiple of 64 bytes.
 */
export function npyHeader(rows: number, cols: number): Buffer {
  const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${cols}), }`;
  const before = magic.length + 2;
  const total = Math.ceil((before + dict.length + 1) / alignment) * alignment;
  const header = Buffer.alloc(total, ' ');
  magic.copy(header);
  header.writeUInt16LE(total - before, magic.length);
  header.write(dict, before, 'latin1');
  header.write('\n', total - 1, 'latin1');
  return header;
}
