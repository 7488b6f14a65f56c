/** Rescale and quantize inputs, dequantize outputs, scores and the best of them. */

export type DType = "uint8" | "int8" | "int16" | "int32" | "float32";
export type Values = Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array;
export type Activation = "none" | "softmax" | "sigmoid";

/** The pixels that an input takes: in this size, these colours and this layout. */
export interface PictureSpec {
  height: number;
  width: number;
  color: "rgb" | "bgr" | "grayscale";
  method: "nearest" | "area" | "bilinear" | "hamming" | "bicubic" | "lanczos";
  /** The shorter side is fitted and the centre cut; else the picture is stretched. */
  crop: boolean;
  layout: "nhwc" | "nchw";
  /** Whether the model was measured on pictures; else whether pixels are 0 to 255 is open. */
  measured: boolean;
}

/** An input of one item: raw * factor + offset, quantized where scale is not 0. */
export interface InputSpec {
  name: string;
  shape: number[];
  dtype: DType;
  scale: number;
  zeroPoint: number;
  /** Value i has the factor and the offset of number i / channelStride % factors.length. */
  factors: number[];
  offsets: number[];
  channelStride: number;
  picture: PictureSpec | null;
}

/** An output of one item: (value - zeroPoint) * scale where scale is not 0. */
export interface OutputSpec {
  name: string;
  shape: number[];
  dtype: DType;
  scale: number;
  zeroPoint: number;
  /** What makes scores of it. */
  activation: Activation;
}

/** What is carried on: zeros at first, then what the output gave at the last inference. */
export interface StateSpec {
  input: InputSpec;
  output: OutputSpec;
}

const ARRAYS = {
  uint8: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  float32: Float32Array,
};

const LIMITS: Record<DType, [number, number]> = {
  uint8: [0, 255],
  int8: [-128, 127],
  int16: [-32768, 32767],
  int32: [-2147483648, 2147483647],
  float32: [-Infinity, Infinity],
};

/** Round to the nearest whole number, halves to the even one. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest === 0.5) return below % 2 === 0 ? below : below + 1;
  return rest < 0.5 ? below : below + 1;
}

/** Turn the raw values of one item into what the model's input holds. */
export function encode(input: InputSpec, raw: ArrayLike<number>): Values {
  const { dtype, scale, zeroPoint, channelStride, factors, offsets } = input;
  const values = new ARRAYS[dtype](raw.length);
  const [low, high] = LIMITS[dtype];
  const round = Math.fround;
  for (let at = 0; at < raw.length; at++) {
    const channel = Math.floor(at / channelStride) % factors.length;
    // Every step is rounded to float32, as on the host.
    let real = round(round(round(raw[at]) * factors[channel]) + offsets[channel]);
    if (scale !== 0) real = round(roundHalfEven(round(real / scale)) + zeroPoint);
    if (dtype !== "float32") {
      // NaN becomes the lowest value.
      if (!(real > low)) real = low;
      real = Math.trunc(Math.min(real, high));
    }
    values[at] = real;
  }
  return values;
}

/** Turn what the model's output holds into real numbers. */
export function decode(output: OutputSpec, values: ArrayLike<number>): Float32Array {
  const reals = Float32Array.from(values);
  if (output.scale === 0) return reals;
  return reals.map((value) => Math.fround(value - output.zeroPoint) * output.scale);
}

/** Return values as shares of 1, by their exponentials. */
export function softmax(values: ArrayLike<number>): Float32Array {
  const reals = Array.from(values);
  const largest = reals.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = reals.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return Float32Array.from(powers, (power) => power / sum);
}

/** Return each value between 0 and 1, by the logistic function. */
export function sigmoid(values: ArrayLike<number>): Float32Array {
  return Float32Array.from(values, (value) => 1 / (1 + Math.exp(-value)));
}

/** Apply what makes scores of an output. */
export function activate(activation: Activation, values: ArrayLike<number>): Float32Array {
  if (activation === "softmax") return softmax(values);
  return activation === "sigmoid" ? sigmoid(values) : Float32Array.from(values);
}

/** Return the places of the best scores, best first: of equal ones the first, NaN last. */
export function top(scores: ArrayLike<number>, limit: number): number[] {
  const places = Array.from(scores, (_, place) => place);
  places.sort((i, j) => {
    const a = scores[i];
    const b = scores[j];
    if (Number.isNaN(a) || Number.isNaN(b)) {
      return Number(Number.isNaN(a)) - Number(Number.isNaN(b)) || i - j;
    }
    return a === b ? i - j : b > a ? 1 : -1;
  });
  return places.slice(0, limit);
}
