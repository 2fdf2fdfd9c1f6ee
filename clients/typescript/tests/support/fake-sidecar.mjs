// A program that starts like the sidecar and then misbehaves as the spawn line's options say.
//
// options.behaviour: refuse, garbage, silent, exit, flood_stderr, long_line, other_protocol, no_hello,
// deaf (ignores stdin's end and SIGTERM), or nothing: it serves. Served methods: engine.info tells its
// environment and arguments, chat.create streams one event and waits, test.crash dies, test.spawn_child
// leaves a child running, engine.shutdown ends it.

import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers";
import { decode, encode } from "@msgpack/msgpack";
import { Router, curveKeyPair } from "zeromq";

const router = new Router();

async function main() {
    const line = await new Promise((resolve) =>
        createInterface({ input: process.stdin }).once("line", resolve),
    );
    const { behaviour } = JSON.parse(line).options;
    process.stderr.write('{"level":"info","message":"hello from stderr"}\n');
    switch (behaviour) {
        case "refuse":
            print({
                error: { code: "invalid_params", message: "options has a fault", data: { parameter: "x" } },
            });
            process.exit(2);
            break;
        case "garbage":
            process.stdout.write("Hello, I am not JSON\n");
            break;
        case "long_line":
            process.stdout.write(`${"x".repeat(10_000)}\n`);
            break;
        case "silent":
            break;
        case "exit":
            process.stderr.write("it went wrong\n");
            process.exit(7);
            break;
        default:
            await serve(behaviour);
    }
}

async function serve(behaviour) {
    if (behaviour === "deaf") process.on("SIGTERM", () => undefined);
    else process.stdin.once("end", () => process.exit(0)).resume();
    if (behaviour === "flood_stderr") {
        for (let number = 0; number < 20_000; number += 1) process.stderr.write(`line ${number}\n`);
        // Written, so that dying takes nothing of it along.
        await new Promise((written) => process.stderr.write("", written));
    }
    const { publicKey, secretKey } = curveKeyPair();
    router.curveServer = true;
    router.curveSecretKey = secretKey;
    await router.bind("tcp://127.0.0.1:*");
    const protocol = behaviour === "other_protocol" ? 99 : 1;
    const about = { version: "9.9.9", boot_id: "boot", pid: process.pid };
    print({ ready: 1, endpoint: router.lastEndpoint, server_key: publicKey, protocol, ...about });
    for await (const [peer, head] of router) await take(peer, decode(head), behaviour);
}

async function take(peer, header, behaviour) {
    const send = (fields, body) => router.send([peer, encode(fields), encode(body)]);
    const { k, m, id } = header;
    if (k === "hello" && behaviour !== "no_hello") {
        const limits = { message_bytes: 16 * 2 ** 20 };
        const welcome = {
            protocol: 1,
            boot_id: "boot",
            version: "9.9.9",
            capabilities: [],
            limits,
            methods: [],
        };
        await send({ k: "welcome" }, welcome);
    } else if (k === "cancel") {
        await send({ k: "err", id }, { code: "cancelled", message: "cancelled" });
    } else if (m === "engine.info") {
        const { env, argv, pid } = process;
        await send({ k: "res", id, s: 0 }, { environment: { ...env }, arguments: argv, pid });
    } else if (m === "chat.create") {
        await send({ k: "evts" }, [[id, 0, { type: "queued", position: 1 }]]);
    } else if (m === "test.crash") {
        process.kill(process.pid, "SIGKILL");
    } else if (m === "test.spawn_child") {
        const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 600000)"], { stdio: "ignore" });
        await send({ k: "res", id, s: 0 }, { pid: child.pid });
    } else if (m === "engine.shutdown" && behaviour !== "deaf") {
        await send({ k: "res", id, s: 0 }, {});
        await send({ k: "bye" }, { code: "shutting_down", message: "the engine was shut down" });
        router.close();
        setTimeout(() => process.exit(0), 100);
    }
}

function print(content) {
    process.stdout.write(`${JSON.stringify(content)}\n`);
}

await main();
