// Answers the golden cases with the TypeScript library: a line of tokens in, a line of numbers out.
import { readFileSync, writeFileSync } from "node:fs";
import * as spec from "./model_spec.js";
import { fit } from "./pictures.js";
import { readBoxes, type BoxesSpec } from "./boxes.js";
import { features, type SignalSpec } from "./signals.js";
import { activate, decode, encode, top, type DType, type InputSpec, type OutputSpec, type PictureSpec } from "./values.js";

const METHODS: PictureSpec["method"][] = ["nearest", "area", "bilinear", "hamming", "bicubic", "lanczos"];
const COLORS: PictureSpec["color"][] = ["rgb", "bgr", "grayscale"];
const DTYPES: DType[] = ["uint8", "int8", "int16", "int32", "float32"];
const ACTIVATIONS: OutputSpec["activation"][] = ["none", "softmax", "sigmoid"];
const LAYOUTS: BoxesSpec["layout"][] = ["xyxy", "yxyx", "xywh", "cxcywh"];

let tokens: string[] = [];
const next = (): number => Number(tokens.shift());
const many = (count: number): number[] => tokens.splice(0, count).map(Number);
const list = (): number[] => many(next());

function picture(): ArrayLike<number> {
  const [height, width, method, color, crop, first, ...shape] = many(9);
  const settings: PictureSpec = {
    height, width, method: METHODS[method], color: COLORS[color], crop: crop === 1,
    layout: first ? "nchw" : "nhwc", measured: true,
  };
  const [rows, columns, channels] = shape;
  return fit(settings, Uint8Array.from(many(rows * columns * channels)), rows, columns, channels);
}

function encoded(): ArrayLike<number> {
  const [dtype, scale, zeroPoint, count, channelStride] = many(5);
  const input: InputSpec = {
    name: "", shape: [], dtype: DTYPES[dtype], scale, zeroPoint, channelStride,
    factors: many(count), offsets: many(count), picture: null,
  };
  return encode(input, list());
}

function decoded(): ArrayLike<number> {
  const [dtype, scale, zeroPoint] = many(3);
  const output: OutputSpec = { name: "", shape: [], dtype: DTYPES[dtype], scale, zeroPoint, activation: "none" };
  return decode(output, list());
}

function boxes(): number[] {
  const [layout, rows, classes, boxRow, boxColumn, scoreStart, scoreRow, scoreColumn] = many(8);
  const [objectness, sigmoid, background, suppress, width, height, score, iou] = many(8);
  const [largest, candidates] = many(2);
  const scales = many(4);
  const anchors = Array.from({ length: next() }, () => many(4));
  const [box, scores, categories, count] = [list(), list(), list(), list()];
  const settings: BoxesSpec = {
    layout: LAYOUTS[layout], rows, classes, boxRow, boxColumn, scoreStart, scoreRow, scoreColumn,
    objectness, sigmoid: sigmoid === 1, background: background === 1, suppress: suppress === 1,
    width, height, anchors, scales, score, iou, largest, candidates, boxOutput: "box",
    scoreOutput: "score", classOutput: categories.length ? "class" : null,
    countOutput: count.length ? "count" : null,
  };
  const found = readBoxes(settings, { box, score: scores, class: categories, count });
  return found.flatMap((one) => [one.score, one.category, one.left, one.top, one.right, one.bottom]);
}

function signal(): ArrayLike<number> {
  const [rate, window, stride, fft, mels, coefficients, power, low, high, floor] = many(10);
  const settings: SignalSpec = { rate, window, stride, fft, mels, coefficients, power, low, high, floor };
  return features(settings, list());
}

function constants(): number[] {
  const [input] = spec.inputs;
  const [output] = spec.outputs;
  const image = input.picture!;
  const size = (shape: number[]) => shape.reduce((a, b) => a * b, 1);
  return [
    size(input.shape), DTYPES.indexOf(input.dtype), input.scale, input.zeroPoint, input.channelStride,
    ...input.factors, ...input.offsets, image.height, image.width, COLORS.indexOf(image.color),
    METHODS.indexOf(image.method), Number(image.crop), Number(image.layout === "nchw"),
    size(output.shape), DTYPES.indexOf(output.dtype), output.scale, output.zeroPoint,
    ACTIVATIONS.indexOf(output.activation), spec.boxes!.rows, spec.boxes!.iou, spec.boxes!.candidates,
    spec.boxes!.anchors[1][3], spec.signal!.fft, spec.signal!.floor,
    ...new TextEncoder().encode(spec.labels.join("")),
  ];
}

const commands: Record<string, () => ArrayLike<number>> = {
  fit: picture,
  encode: encoded,
  decode: decoded,
  activate: () => activate(ACTIVATIONS[next()], list()),
  top: () => {
    const limit = next();
    return top(list(), limit);
  },
  boxes,
  features: signal,
  constants,
};

const answers = readFileSync("cases.txt", "utf8").trimEnd().split("\n").map((line) => {
  const [command, ...rest] = line.split(" ");
  tokens = rest;
  return Array.from(commands[command]()).join(" ");
});
writeFileSync("answers.txt", answers.join("\n") + "\n");
