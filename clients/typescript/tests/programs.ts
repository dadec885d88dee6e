import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe } from "vitest";
import type { Admin } from "../src/index.js";
import { connectAdmin } from "../src/nodejs.js";

const binary = resolve(process.env.TOLLGATE_BINARY || resolve(import.meta.dirname, "../../../target/debug/tollgate"));
const found = existsSync(binary);
if (!found) {
  const how = `${binary} is not there: build it with \`cargo build\`, or name one in TOLLGATE_BINARY`;
  if (process.env.CI) throw new Error(how);
  console.error(`SKIPPED: ${how}`);
}

/** Tests that need the program. Without it they are skipped, and where `CI` is set they fail. */
export const withTollgate = describe.skipIf(!found);

/** The access token of the administrator of each server. */
export const adminToken = `tg_${"a".repeat(40)}`;

/** A `tollgate` that runs, with a directory of its own. */
export class Program implements AsyncDisposable {
  readonly #args: string[];
  readonly #env: Record<string, string>;
  readonly directory = mkdtempSync(join(tmpdir(), "tollgate-"));
  #child: ChildProcess | undefined;
  /** Where it listens. */
  place = "";

  constructor(args: string[], env: Record<string, string>) {
    this.#args = args;
    this.#env = env;
  }

  async start(listen = "127.0.0.1:0"): Promise<this> {
    const ready = join(this.directory, "ready");
    rmSync(ready, { force: true });
    const args = [...this.#args, "--listen", listen, "--ready-file", ready];
    const env = { PATH: process.env.PATH, ...this.#env };
    const child = spawn(binary, args, { cwd: this.directory, env, stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    let log = "";
    child.stderr?.on("data", (text) => {
      log = `${log}${text}`.slice(-10_000);
    });
    while (!existsSync(ready) || readFileSync(ready, "utf8") === "") {
      if (child.exitCode !== null) throw new Error(`tollgate ${args.join(" ")} ended: ${log}`);
      await sleep(20);
    }
    this.place = readFileSync(ready, "utf8").trim();
    return this;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true });
  }
}

/** A control plane with an administrator. */
export async function startServer(...args: string[]): Promise<Program> {
  const env = { TOLLGATE_BOOTSTRAP_TOKEN: adminToken };
  return await new Program(["serve", "--shutdown-grace", "1s", ...args], env).start();
}

/** A node of that control plane. */
export async function startNode(server: Program, listen?: string): Promise<Program> {
  const token = adminToken;
  const args = ["node", "--server", `http://${server.place}`, "--node-id", "gw-1", "--data-dir", "node"];
  return await new Program(args, { TOLLGATE_TOKEN: token }).start(listen);
}

/** An administrator of that control plane. */
export function adminOf(server: Program, options: Parameters<typeof connectAdmin>[0] = {}): Admin {
  return connectAdmin({ server: `http://${server.place}`, token: adminToken, ...options });
}
