/** The model in LiteRT.js, on the processor. */
import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { LITERT, signature } from "./golden_pairs.js";
import * as spec from "./model_spec.js";
const WASM = "./node_modules/@litertjs/core/wasm/";
// A sample lasts at least so long: the clock of a page may have steps of 0.1 ms.
const SAMPLE_MS = 2;
export class LiteRtNetwork {
    file;
    options;
    model;
    runtime;
    constructor(file, options, model, runtime) {
        this.file = file;
        this.options = options;
        this.model = model;
        this.runtime = runtime;
    }
    /** Load LiteRT.js and compile a model's file: for as many threads, 0 for LiteRT.js's choice. */
    static async open(file, count = 0) {
        const threads = globalThis.crossOriginIsolated && count !== 1;
        await loadLiteRt(WASM, { threads });
        const cpuOptions = count > 0 ? { cpuOptions: { numThreads: threads ? count : 1 } } : {};
        const options = { accelerator: "wasm", ...cpuOptions };
        const model = await loadAndCompile(file, options);
        return new LiteRtNetwork(file, options, model, `LiteRT.js ${LITERT}, ${threads ? "threads" : "no threads"}`);
    }
    /** Compile the model anew: LiteRT.js resets no variables. */
    async forget() {
        this.model.delete();
        this.model = await loadAndCompile(this.file, this.options);
    }
    async run(inputs) {
        const { signatures } = this.model;
        const run = signatures[signature ?? "serving_default"] ?? Object.values(signatures)[0];
        const details = run.getInputDetails();
        const names = [...spec.inputs, ...spec.states.map(({ input }) => input)].map(({ name }) => name);
        const tensors = names.map((name, at) => {
            // A file without signatures has its tensors in the order of the spec.
            const { shape } = details.find((one) => one.name === name) ?? details[at];
            return [name, new Tensor(inputs[name], shape)];
        });
        const named = names.every((name) => details.some((one) => one.name === name));
        try {
            const results = named
                ? await run.run(Object.fromEntries(tensors))
                : await run.run(tensors.map(([, tensor]) => tensor));
            return read(results);
        }
        finally {
            for (const [, tensor] of tensors)
                tensor.delete();
        }
    }
}
/** Return outputs by the spec's names, and free what held them. */
function read(results) {
    const ordered = Object.values(results);
    const names = [...spec.outputs, ...spec.states.map(({ output }) => output)].map(({ name }) => name);
    const values = names.map((name, at) => {
        const tensor = Array.isArray(results) ? results[at] : (results[name] ?? ordered[at]);
        return [name, tensor.toTypedArray().slice()];
    });
    for (const tensor of ordered)
        tensor.delete();
    return Object.fromEntries(values);
}
/** Time runs of one item, from what the inputs hold to what the outputs hold. */
export async function latencyOf(network, inputs) {
    let runs = 1;
    const timed = async () => {
        const start = performance.now();
        for (let k = 0; k < runs; k++)
            await network.run(inputs);
        return performance.now() - start;
    };
    for (let k = 0; k < 5; k++)
        await timed();
    while ((await timed()) < SAMPLE_MS)
        runs *= 2;
    const samples = [];
    for (let k = 0; k < 51; k++)
        samples.push((await timed()) / runs);
    samples.sort((a, b) => a - b);
    return { p50: samples[25], samples: samples.length, runs };
}
