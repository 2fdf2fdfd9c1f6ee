// node-llama-cpp through its JavaScript API, as an Electron application would use it.
//
// Speaks the driver's JSON lines (wire.py); its argument is the package's folder. Streams are
// sequences of one context, driven in lockstep; all of them begin with a copy of one prompt, which
// is kept in a file. Flash attention is tried on and off for each case, once, and the faster of the
// two is measured.

import {mkdtemp, readFile, rm} from "node:fs/promises";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {createInterface} from "node:readline";
import {pathToFileURL} from "node:url";

const WARM_UP_STEPS = 4;
const SPARE_TOKENS = 16;
const TRIAL_STEPS = 6;
const BATCH_TOKENS = 512;
const GREEDY = {temperature: 0, topK: 1, yieldEogToken: true};

const folder = process.argv[2];
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(join(folder, "dist", "index.js")).href);
const states = await mkdtemp(join(tmpdir(), "node-llama-cpp-"));
const prepared = new Map();
const fasterAttention = new Map();
let model = null;
let threads = 1;

const seconds = (started) => (performance.now() - started) / 1000;

async function load({model: modelPath, options}) {
    threads = options.threads;
    const llama = await getLlama({
        gpu: false,
        build: "never",
        skipDownload: true,
        maxThreads: threads,
        logLevel: LlamaLogLevel.error,
        logger: (_level, message) => console.error(message)
    });
    model = await llama.loadModel({modelPath});
    const {version} = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const engine = `node-llama-cpp ${version}, llama.cpp ${llama.llamaCppRelease.release}, Node ${process.version}`;
    return {engine, vocabulary: model.fileInfo.tensorInfo
        ? Number(model.fileInfo.tensorInfo.find(({name}) => name === "token_embd.weight").dimensions[1])
        : model.fileInfo.metadata.tokenizer.ggml.tokens.length};
}

async function withContext(sequences, length, flashAttention, use) {
    const context = await model.createContext({
        sequences,
        contextSize: Math.ceil((length + SPARE_TOKENS) / 256) * 256,
        batchSize: BATCH_TOKENS,
        threads: {ideal: threads, min: threads},
        flashAttention
    });
    try {
        return await use(context);
    } finally {
        await context.dispose();
    }
}

async function greedy({prompt, count}) {
    return await withContext(1, prompt.length + count, "auto", async (context) => {
        const tokens = [];
        for await (const token of context.getSequence().evaluate(prompt, GREEDY)) {
            tokens.push(token);
            if (tokens.length === count)
                break;
        }
        return {tokens};
    });
}

// A file with all of a prompt but its last token, with which a stream begins. It is made once for
// contexts of a kind: they take back only what one like them gave.
async function prepare(context, prompt) {
    const key = `${context.totalSequences}-${prompt.length}-${context.flashAttention}`;
    if (!prepared.has(key)) {
        const path = join(states, key);
        const sequence = context.getSequence();
        await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(0, -1));
        await sequence.saveStateToFile(path);
        await sequence.dispose();
        prepared.set(key, path);
    }
    return prepared.get(key);
}

async function beginStreams(context, count, prompt) {
    const path = await prepare(context, prompt);
    const streams = [];
    for (let index = 0; index < count; index++) {
        const sequence = context.getSequence();
        await sequence.loadStateFromFile(path, {acceptRisk: true});
        streams.push(sequence.evaluate(prompt.slice(-1), GREEDY));
    }
    for (let step = 0; step < WARM_UP_STEPS; step++)
        await advance(streams);
    return streams;
}

const advance = (streams) => Promise.all(streams.map((stream) => stream.next()));

async function timedDecode({streams: count, context: length, steps}, prompt, flash) {
    return await withContext(count, length + WARM_UP_STEPS + steps, flash, async (context) => {
        const streams = await beginStreams(context, count, prompt);
        const started = performance.now();
        for (let step = 0; step < steps; step++)
            await advance(streams);
        return seconds(started);
    });
}

async function timedPrefill(prompts, flash) {
    return await withContext(1, prompts[0].length, flash, async (context) => {
        const sequence = context.getSequence();
        let total = 0;
        for (const prompt of prompts) {
            await sequence.clearHistory();
            const started = performance.now();
            await sequence.evaluate(prompt, GREEDY).next();
            total += seconds(started);
        }
        return total;
    });
}

async function timedArrival({streams: count, steps}, prompts, flash) {
    const running = prompts.slice(0, -1);
    const newcomer = prompts.at(-1);
    return await withContext(count + 1, running[0].length + 2 * newcomer.length, flash, async (context) => {
        const streams = await beginStreams(context, count, running[0]);
        let stepsLeft = Infinity;
        let longestGap = 0;
        const keepOn = async (stream) => {
            let latest = performance.now();
            while (stepsLeft > 0) {
                await stream.next();
                longestGap = Math.max(longestGap, seconds(latest));
                latest = performance.now();
                if (stream === streams[0])
                    stepsLeft -= 1;
            }
        };
        const others = streams.map(keepOn);
        const started = performance.now();
        await context.getSequence().evaluate(newcomer, GREEDY).next();
        const firstToken = seconds(started);
        stepsLeft = steps;
        await Promise.all(others);
        return {firstToken, longestGap};
    });
}

async function faster(name, trials, time) {
    if (!fasterAttention.has(name)) {
        const tried = [];
        for (let trial = 0; trial < trials; trial++)
            for (const flash of [true, false])
                tried.push([await time(flash), flash]);
        fasterAttention.set(name, tried.sort(([first], [second]) => first - second)[0][1]);
    }
    return fasterAttention.get(name);
}

async function measure({case: asked, prompts}) {
    const key = JSON.stringify(asked);
    const answer = (flash, tokens, taken, gap = 0) =>
        ({tokens, seconds: taken, longest_gap: gap, settings: `flash attention ${flash ? "on" : "off"}`});
    if (asked.kind === "prefill") {
        const flash = await faster(key, 1, (on) => timedPrefill(prompts.slice(0, 1), on));
        return answer(flash, asked.context * asked.steps, await timedPrefill(prompts, flash));
    }
    if (asked.kind === "arrival") {
        const flash = await faster(key, 1, async (on) => (await timedArrival(asked, prompts, on)).firstToken);
        const {firstToken, longestGap} = await timedArrival(asked, prompts, flash);
        return answer(flash, asked.context, firstToken, longestGap);
    }
    const trial = {...asked, steps: TRIAL_STEPS};
    const flash = await faster(key, 2, (on) => timedDecode(trial, prompts[0], on));
    return answer(flash, asked.streams * asked.steps, await timedDecode(asked, prompts[0], flash));
}

// Of each position: the logit of the token that follows, that of the greedy one, which is the highest,
// and the sum of all weights exp(logit - highest).
async function score({windows}) {
    return await withContext(1, windows[0].length, "auto", async (context) => {
        const sequence = context.getSequence();
        let loss = 0;
        for (const window of windows) {
            await sequence.clearHistory();
            const found = await sequence.controlledEvaluate(window.slice(0, -1).map((token, index) => [token, {
                generateNext: {
                    logits: {filter: {tokens: [window[index + 1]], includeSelected: true}},
                    totalLogitWeight: true,
                    options: {temperature: 0, topK: 0}
                }
            }]));
            found.forEach(({next}, index) => {
                const highest = Math.max(...next.logits.values());
                loss += highest + Math.log(next.totalLogitWeight) - next.logits.get(window[index + 1]);
            });
        }
        return {loss};
    });
}

const memory = () => ({peak_bytes: process.resourceUsage().maxRSS * 1024});
const answers = {load, greedy, measure, score, memory};

for await (const line of createInterface({input: process.stdin})) {
    const request = JSON.parse(line);
    let answer;
    try {
        answer = await answers[request.do](request);
    } catch (error) {
        console.error(error);
        answer = {error: String(error)};
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
}
await rm(states, {recursive: true});
process.exit(0);
