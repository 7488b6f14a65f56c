/** The model with what happens before and after it. Nothing of a browser: it runs in node too. */

import { readBoxes, type Box } from "./boxes.js";
import { streams } from "./golden_pairs.js";
import * as spec from "./model_spec.js";
import type { Recorder } from "./recorder.js";
import { activate, decode, encode, top, type InputSpec, type Values } from "./values.js";

/** Values of one item, by the name of the input or output. */
export type Named<T> = Record<string, T>;

/** What runs the model's file: inputs and outputs are by name, each of one item. */
export interface Network {
  /** The runtime's name and version. */
  readonly runtime: string;
  run(inputs: Named<Values>): Promise<Named<ArrayLike<number>>>;
  /** Forget what the model keeps inside itself. */
  forget(): Promise<void>;
}

/** A class and how sure the model is of it. */
export interface Answer {
  label: string;
  score: number;
}

/** Return what a class is called; its number where it has no name. */
export function label(place: number): string {
  return spec.labels[place] ?? String(place);
}

/** Return how many values an item of an input has. */
export function sizeOf(input: InputSpec): number {
  return input.shape.reduce((a, b) => a * b, 1);
}

/**
 * The model over a network. What it carries from an inference to the next begins with `begin`.
 *
 * A recorder counts what it is given and answers, where the page asks for one.
 */
export class Model {
  private carried: Named<Values> = zeros();

  constructor(
    readonly network: Network,
    public recorder: Recorder | null = null,
  ) {}

  /** Begin a stream: states are zeros again. Without streams every item is one. */
  async begin(): Promise<void> {
    this.carried = zeros();
    if (streaming) await this.network.forget();
  }

  /** Return what the model's inputs hold, of raw inputs by name. */
  encoded(raw: Named<ArrayLike<number>>): Named<Values> {
    const inputs = spec.inputs.map((input) => {
      const values = raw[input.name];
      if (values === undefined) throw new Error(`input ${input.name} is missing`);
      if (values.length !== sizeOf(input)) {
        throw new Error(`input ${input.name} takes ${sizeOf(input)} values, not ${values.length}`);
      }
      return [input.name, encode(input, values)];
    });
    return { ...Object.fromEntries(inputs), ...this.carried };
  }

  /** Return the outputs of one item as real numbers, by name, of raw inputs by name. */
  async outputs(raw: Named<ArrayLike<number>>): Promise<Named<Float32Array>> {
    const { recorder } = this;
    const began = performance.now();
    try {
      const outputs = await this.answered(raw);
      recorder?.add(raw, outputs, 1e6 * (performance.now() - began));
      return outputs;
    } catch (error) {
      recorder?.error();
      throw error;
    }
  }

  private async answered(raw: Named<ArrayLike<number>>): Promise<Named<Float32Array>> {
    const answers = await this.network.run(this.encoded(raw));
    for (const { input, output } of spec.states) {
      this.carried[input.name] = encode(input, decode(output, answers[output.name]));
    }
    return Object.fromEntries(spec.outputs.map((one) => [one.name, decode(one, answers[one.name])]));
  }
}

function zeros(): Named<Values> {
  const states = spec.states.map(({ input }) => [
    input.name,
    encode(input, new Float32Array(sizeOf(input))),
  ]);
  return Object.fromEntries(states);
}

/** Whether items are streams, over which the model keeps a state; else each is by itself. */
export const streaming = streams.length > 0;

/** Return the best classes, best first; none where no output scores classes. */
export function bestOf(outputs: Named<Float32Array>, limit = 3): Answer[] {
  const output = spec.outputs.find(({ name }) => name === spec.answers);
  if (output === undefined) return [];
  const scores = activate(output.activation, outputs[output.name]);
  return top(scores, limit).map((place) => ({ label: label(place), score: scores[place] }));
}

/** Return a detector's boxes, best first; null where the model is not one. */
export function boxesOf(outputs: Named<Float32Array>): Box[] | null {
  return spec.boxes === null ? null : readBoxes(spec.boxes, outputs);
}
