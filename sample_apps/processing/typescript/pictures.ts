/**
 * Colours, size and layout of a picture: to the bit what Pillow's resize gives.
 *
 * Every pixel of the result is a weighted sum of the source's pixels that the filter covers. The
 * filter widens with the reduction, so pictures are antialiased. Weights are whole numbers of
 * 2^-22, and each of the two passes, horizontal then vertical, rounds to 8 bits.
 */

import { roundHalfEven, type PictureSpec } from "./values.js";

const WEIGHT_BITS = 22;
const UNIT = 1 << WEIGHT_BITS;

type Method = PictureSpec["method"];
interface Filter {
  /** How many pixels it covers to either side. */
  support: number;
  at: (x: number) => number;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function bicubic(x: number): number {
  x = Math.abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

const FILTERS: Record<Exclude<Method, "nearest">, Filter> = {
  area: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    at: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI)) : 0),
  },
  bicubic: { support: 2, at: bicubic },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** A side of the picture: `from` pixels are scaled to `to`, and `start` is where the cut begins. */
interface Side {
  from: number;
  to: number;
  start: number;
}

/** The first source pixel of a pixel, and the weights from there on. */
interface Weights {
  first: number;
  taps: number[];
}

/** The source pixels of nearest: the step is added, because a product rounds otherwise. */
function nearest({ from, to }: Side): Weights[] {
  const weights: Weights[] = [];
  let position = (from / to) * 0.5;
  for (let at = 0; at < to; at++) {
    weights.push({ first: Math.trunc(position), taps: [UNIT] });
    position += from / to;
  }
  return weights;
}

function weigh(filter: Filter, { from, to }: Side, at: number): Weights {
  const scale = from / to;
  const factor = Math.max(1, scale);
  const support = filter.support * factor;
  const center = (at + 0.5) * scale;
  const first = Math.max(0, Math.trunc(center - support + 0.5));
  const last = Math.min(from, Math.trunc(center + support + 0.5));
  const values: number[] = [];
  for (let k = first; k < last; k++) values.push(filter.at((k - center + 0.5) * (1 / factor)));
  const sum = values.reduce((a, b) => a + b, 0);
  const taps = values.map((value) => {
    const weight = (sum === 0 ? value : value / sum) * UNIT;
    return Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
  });
  return { first, taps };
}

/** The weights of `count` pixels from the start of the cut on. */
function weightsOf(method: Method, side: Side, count: number): Weights[] {
  const cut = Array.from({ length: count }, (_, at) => side.start + at);
  if (side.from === side.to) return cut.map((at) => ({ first: at, taps: [UNIT] }));
  if (method === "nearest") return nearest(side).slice(side.start, side.start + count);
  return cut.map((at) => weigh(FILTERS[method], side, at));
}

function rounded(sum: number): number {
  return Math.min(255, Math.max(0, (sum + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS));
}

/** Return a picture in one channel, or in three as RGB; gray is ITU-R 601-2 in whole numbers. */
function colored(source: ArrayLike<number>, channels: number, wanted: number): Uint8Array {
  const count = source.length / channels;
  const pixels = new Uint8Array(count * wanted);
  for (let at = 0; at < count; at++) {
    const [red, green, blue] = [0, 1, 2].map((c) => source[at * channels + (channels > 1 ? c : 0)]);
    if (wanted === 3) pixels.set([red, green, blue], at * 3);
    else if (channels === 1) pixels[at] = red;
    else pixels[at] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
  }
  return pixels;
}

/** The sides of a picture: stretched, or the shorter one fitted and the centre cut. */
function sides(picture: PictureSpec, height: number, width: number): [Side, Side] {
  const rows = { from: height, to: picture.height, start: 0 };
  const columns = { from: width, to: picture.width, start: 0 };
  if (picture.crop) {
    const factor = Math.max(picture.height / height, picture.width / width);
    for (const side of [rows, columns]) {
      const size = side.to;
      side.to = Math.max(size, roundHalfEven(side.from * factor));
      side.start = Math.floor((side.to - size) / 2);
    }
  }
  return [rows, columns];
}

/**
 * Fit a picture, bytes [height, width, channels] of 1 (gray), 3 (RGB) or 4 (RGBA, as a canvas
 * gives it; alpha is dropped) channels, into the pixels that the model takes.
 */
export function fit(
  picture: PictureSpec,
  source: ArrayLike<number>,
  height: number,
  width: number,
  channels: number,
): Uint8Array {
  if (![1, 3, 4].includes(channels) || source.length !== height * width * channels) {
    throw new Error(`${source.length} bytes are not a picture of ${height}x${width}x${channels}`);
  }
  const wanted = picture.color === "grayscale" ? 1 : 3;
  const [rows, columns] = sides(picture, height, width);
  const pixels = colored(source, channels, wanted);
  const across = new Uint8Array(height * picture.width * wanted);
  weightsOf(picture.method, columns, picture.width).forEach(({ first, taps }, x) => {
    for (let y = 0; y < height; y++) {
      for (let c = 0; c < wanted; c++) {
        let sum = 0;
        taps.forEach((tap, k) => (sum += tap * pixels[(y * width + first + k) * wanted + c]));
        across[(y * picture.width + x) * wanted + c] = rounded(sum);
      }
    }
  });
  return down(picture, weightsOf(picture.method, rows, picture.height), across, wanted);
}

/** The vertical pass, into the model's order of colours and its layout. */
function down(picture: PictureSpec, weights: Weights[], across: Uint8Array, wanted: number): Uint8Array {
  const { height, width } = picture;
  const pixels = new Uint8Array(height * width * wanted);
  weights.forEach(({ first, taps }, y) => {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < wanted; c++) {
        let sum = 0;
        taps.forEach((tap, k) => (sum += tap * across[((first + k) * width + x) * wanted + c]));
        const channel = picture.color === "bgr" ? 2 - c : c;
        const place =
          picture.layout === "nchw"
            ? (channel * height + y) * width + x
            : (y * width + x) * wanted + channel;
        pixels[place] = rounded(sum);
      }
    }
  });
  return pixels;
}
