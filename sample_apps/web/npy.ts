/** Files of numpy arrays, as real numbers. */

/** An array: its shape, and its values in the order of C. */
export interface Npy {
  shape: number[];
  values: Float32Array;
}

type Reader = (view: DataView, at: number) => number;

const READERS: Record<string, [size: number, read: Reader]> = {
  f4: [4, (view, at) => view.getFloat32(at, true)],
  f8: [8, (view, at) => view.getFloat64(at, true)],
  u1: [1, (view, at) => view.getUint8(at)],
  b1: [1, (view, at) => view.getUint8(at)],
  i1: [1, (view, at) => view.getInt8(at)],
  i2: [2, (view, at) => view.getInt16(at, true)],
  u2: [2, (view, at) => view.getUint16(at, true)],
  i4: [4, (view, at) => view.getInt32(at, true)],
  i8: [8, (view, at) => Number(view.getBigInt64(at, true))],
};

/**
 * Read an array; throw an error that says what is wrong with a file that is not one.
 *
 * Source: "NEP 1: A Simple File Format for NumPy Arrays".
 */
export function readNpy(content: ArrayBuffer): Npy {
  const view = new DataView(content);
  if (content.byteLength < 12 || view.getUint8(0) !== 0x93 || view.getUint8(1) !== 78) {
    throw new Error("not a .npy file");
  }
  const long = view.getUint8(6) > 1;
  const start = long ? 12 : 10;
  const end = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  if (end > content.byteLength) throw new Error("the .npy file is cut");
  const header = new TextDecoder("latin1").decode(new Uint8Array(content, start, end - start));
  const dtype = /'descr': '[<|]([a-z][0-9])'/.exec(header)?.[1] ?? "";
  const sizes = /'shape': \(([0-9, ]*)\)/.exec(header)?.[1];
  if (!READERS[dtype] || sizes === undefined || header.includes("'fortran_order': True")) {
    throw new Error(`an array of this kind is not read: ${header.trim()}`);
  }
  const shape = sizes.split(",").filter((size) => size.trim()).map(Number);
  const count = shape.reduce((a, b) => a * b, 1);
  const [size, read] = READERS[dtype];
  if (end + count * size > content.byteLength) throw new Error("the .npy file is cut");
  return { shape, values: Float32Array.from({ length: count }, (_, k) => read(view, end + k * size)) };
}

/** Return the values of one item, the first dimension being the items. */
export function itemOf({ shape, values }: Npy, at: number): Float32Array {
  const size = values.length / shape[0];
  return values.subarray(at * size, (at + 1) * size);
}
