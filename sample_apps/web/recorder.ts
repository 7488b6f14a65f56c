/**
 * Counts what a model is given and what it answers, into compact records: statistics, no items
 * but where the page asks for a sample of them.
 *
 * A record is one JSON line about a window of items, which `edgekit monitor` reads. What a feature
 * is, and its bins, says `monitoring_spec.ts`. Nothing here fails the page. Nothing of a browser.
 */

export interface TensorFeatures {
  name: string;
  side: string;
  values: number;
  channels: number;
  stride: number;
  step: number;
  width: number;
  statistics: string[];
  features: string[];
  shape: number[];
}

export interface ScoredClasses {
  output: string;
  feature: string;
  activation: string;
  threshold: number | null;
}

export interface MonitoringSpec {
  digest: string;
  name: string;
  version: string;
  tensors: TensorFeatures[];
  features: { name: string; edges: number[] }[];
  classes: ScoredClasses | null;
}

export type Numbers = ArrayLike<number>;
export type Table = Record<string, Numbers>;

/** What keeps a sample of raw items: `RawItems` of `raw_items.ts`. */
export interface Sample {
  add(spec: MonitoringSpec, inputs: Table, outputs: Table, now: number): void;
}

// The newest windows that are kept, to be taken from the page.
const KEPT = 500;
// Buckets of latency between a time and the double of it, as HdrHistogram has them.
const STEPS = 16;

/** Return the features of one item of a tensor; of another size it has none: NaN. */
export function features(tensor: TensorFeatures, values: Numbers): Float64Array {
  const names = tensor.statistics;
  const found = new Float64Array(tensor.features.length).fill(NaN);
  if (values.length !== tensor.values) return found;
  if (names.length === 0) return Float64Array.from(values);
  for (let channel = 0; channel < tensor.channels; channel++) {
    const own = statistics(tensor, values, channel);
    if (names.includes("sharpness")) own.push(sharpness(tensor, values, channel));
    found.set(own, channel * names.length);
  }
  return found;
}

/** Return mean, standard deviation, least and largest of a channel. */
function statistics(tensor: TensorFeatures, values: Numbers, channel: number): number[] {
  const { channels, stride } = tensor;
  let [sum, least, largest] = [0, Infinity, -Infinity];
  const count = values.length / channels;
  const each = (use: (value: number) => void) => {
    for (let at = channel * stride; at < values.length; at += channels * stride) {
      for (let k = at; k < at + stride; k++) use(values[k]);
    }
  };
  each((value) => {
    sum += value;
    least = Math.min(least, value);
    largest = Math.max(largest, value);
  });
  const mean = sum / count;
  let squares = 0;
  each((value) => (squares += (value - mean) * (value - mean)));
  return [mean, Math.sqrt(squares / count), least, largest];
}

/** Return the mean step between neighbours in a row. */
function sharpness(tensor: TensorFeatures, values: Numbers, channel: number): number {
  const { step, width, stride, channels } = tensor;
  let [sum, count] = [0, 0];
  for (let row = 0; row < values.length; row += width * step) {
    for (let at = row; at < row + (width - 1) * step; at++) {
      if (Math.floor(at / stride) % channels !== channel) continue;
      sum += Math.abs(values[at + step] - values[at]);
      count++;
    }
  }
  return sum / count;
}

/** Return the class of one item, -1 where a score is not a number, and how sure the model is. */
export function classOf(spec: ScoredClasses, scores: Numbers): [number, number] {
  for (let k = 0; k < scores.length; k++) if (!Number.isFinite(scores[k])) return [-1, NaN];
  if (spec.threshold !== null) {
    const share = spec.activation === "" ? scores[0] : 1 / (1 + Math.exp(-scores[0]));
    return [scores[0] > spec.threshold ? 1 : 0, Math.max(share, 1 - share)];
  }
  let best = 0;
  for (let k = 1; k < scores.length; k++) if (scores[k] > scores[best]) best = k;
  if (spec.activation === "") return [best, scores[best]];
  let sum = 0;
  for (let k = 0; k < scores.length; k++) sum += Math.exp(scores[k] - scores[best]);
  return [best, 1 / sum];
}

/** Return the number of the bucket of latency that a time in nanoseconds falls into. */
export function bucket(nanoseconds: number): number {
  let value = Math.max(0, Math.floor(nanoseconds));
  let doublings = 0;
  while (value >= 2 * STEPS) {
    value = Math.floor(value / 2);
    doublings++;
  }
  return doublings * STEPS + value;
}

/** What is counted of one feature. */
class Counts {
  private readonly counts: number[];
  private nan = 0;
  private sum = 0;
  private least = Infinity;
  private largest = -Infinity;

  constructor(private readonly edges: number[]) {
    this.counts = new Array<number>(edges.length + 1).fill(0);
  }

  add(value: number): void {
    if (!Number.isFinite(value)) {
      this.nan++;
      return;
    }
    let bin = 0;
    while (bin < this.edges.length && this.edges[bin] < value) bin++;
    this.counts[bin]++;
    this.sum += value;
    this.least = Math.min(this.least, value);
    this.largest = Math.max(this.largest, value);
  }

  facts(): object {
    const n = this.counts.reduce((a, b) => a + b, 0);
    const [min, max] = n > 0 ? [this.least, this.largest] : [null, null];
    return { counts: this.counts, n, nan: this.nan, sum: this.sum, min, max };
  }
}

/** What is counted of the items of a window. */
class Window {
  items = 0;
  errors = 0;
  unrecorded = 0;
  private longest = 0;
  private readonly features: Map<string, Counts>;
  private readonly classes: Record<string, number> = {};
  private readonly latency: Record<string, number> = {};

  constructor(
    private readonly spec: MonitoringSpec,
    readonly began: number,
  ) {
    this.features = new Map(spec.features.map(({ name, edges }) => [name, new Counts(edges)]));
  }

  add(inputs: Table, outputs: Table, nanoseconds: number): void {
    const found: [string, number][] = [];
    for (const tensor of this.spec.tensors) {
      const values = (tensor.side === "input" ? inputs : outputs)[tensor.name];
      if (values === undefined) continue;
      const own = features(tensor, values);
      tensor.features.forEach((name, k) => found.push([name, own[k]]));
    }
    const { classes } = this.spec;
    if (classes !== null && outputs[classes.output] !== undefined) {
      const [best, sure] = classOf(classes, outputs[classes.output]);
      found.push([classes.feature, sure]);
      if (best >= 0) this.classes[best] = (this.classes[best] ?? 0) + 1;
    }
    for (const [name, value] of found) this.features.get(name)?.add(value);
    const number = bucket(nanoseconds);
    this.latency[number] = (this.latency[number] ?? 0) + 1;
    this.longest = Math.max(this.longest, Math.floor(nanoseconds));
    this.items++;
  }

  facts(device: string, ended: number): object {
    const { digest, name, version } = this.spec;
    const n = Object.values(this.latency).reduce((a, b) => a + b, 0);
    return {
      schema_version: 1,
      golden: digest,
      name,
      version,
      device,
      began: moment(this.began),
      ended: moment(ended),
      n: this.items,
      errors: this.errors,
      unrecorded: this.unrecorded,
      latency: { n, max_ns: this.longest, buckets: this.latency },
      classes: this.classes,
      features: Object.fromEntries([...this.features].map(([key, one]) => [key, one.facts()])),
    };
  }
}

/**
 * Makes a record a window, of so many items or so many seconds, whichever ends first.
 *
 * `lines` are the newest; each goes to `send` too, where one is given. `raw` is given items to keep a
 * sample of, which stays in the page; there is none unless it is set, and it costs no count.
 */
export class Recorder {
  readonly lines: string[] = [];
  raw: Sample | null = null;
  private window: Window;

  constructor(
    private readonly spec: MonitoringSpec,
    private readonly device: string,
    private readonly send: (line: string) => unknown = () => undefined,
    private readonly items = 1000,
    private readonly seconds = 3600,
    private readonly clock: () => number = Date.now,
  ) {
    this.window = new Window(spec, clock());
  }

  /** Count one item: its raw inputs and its outputs by name, and what it took. */
  add(inputs: Table, outputs: Table, nanoseconds: number): void {
    try {
      this.window.add(inputs, outputs, nanoseconds);
    } catch {
      this.window.unrecorded++;
    }
    this.raw?.add(this.spec, inputs, outputs, this.clock());
    this.end(false);
  }

  /** Count an item that the page could not answer. */
  error(): void {
    this.window.errors++;
    this.end(false);
  }

  /** End the window that is open, if it counted anything. */
  close(): void {
    this.end(true);
  }

  private end(force: boolean): void {
    const { window } = this;
    const seen = window.items + window.errors + window.unrecorded;
    const now = this.clock();
    const due = force || seen >= this.items || now - window.began >= 1000 * this.seconds;
    if (!due || seen === 0) return;
    const line = JSON.stringify(window.facts(this.device, now));
    this.window = new Window(this.spec, now);
    this.lines.push(line);
    if (this.lines.length > KEPT) this.lines.shift();
    try {
      this.send(line);
    } catch {
      // The line stays among the newest, to be taken from the page.
    }
  }
}

/** Return a time in UTC, to the second, as ISO 8601 writes it. */
export function moment(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}
