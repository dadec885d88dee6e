import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Code } from "@connectrpc/connect";
import { build, type Rollup } from "vite";
import { expect, test } from "vitest";
import { ErrorReason } from "../src/index.js";
import { adminOf, adminToken, startServer, withTollgate } from "./programs.js";

const browser = ["chromium", "chromium-browser", "google-chrome"].find((name) => {
  try {
    execFileSync(name, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});
if (!browser) {
  if (process.env.CI) throw new Error("chromium is not installed: apt-get install chromium");
  console.error("SKIPPED: no page was opened: chromium is not installed");
}

/** The program of the page in one file, as a bundler makes it for a browser. */
async function bundle(): Promise<string> {
  const rollupOptions = { input: join(import.meta.dirname, "page/page.ts") };
  const settings = { write: false, target: "es2022", modulePreload: false, rollupOptions } as const;
  const { output } = (await build({ configFile: false, logLevel: "error", build: settings })) as Rollup.RollupOutput;
  return output[0].code;
}

/** A site with the page on it, which sends calls of Tollgate on to the server. */
class Site implements AsyncDisposable {
  readonly #http: http.Server;
  #told: (outcomes: unknown) => void = () => {};

  constructor(code: string, server: string) {
    this.#http = http.createServer(async (request, response) => {
      if (request.url === "/")
        response.setHeader("content-type", "text/html").end("<script type=module src=/page.js></script>");
      else if (request.url === "/page.js") response.setHeader("content-type", "text/javascript").end(code);
      else if (request.url === "/outcomes") {
        const outcomes = await text(request);
        response.end();
        this.#told(JSON.parse(outcomes));
      } else if (request.url?.startsWith("/tollgate.v1.")) forward(request, response, server);
      else response.writeHead(404).end();
    });
  }

  async start(): Promise<string> {
    this.#http.listen(0, "127.0.0.1");
    await once(this.#http, "listening");
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** The outcomes that the page tells. */
  outcomes(): Promise<unknown> {
    return new Promise((resolve) => {
      this.#told = resolve;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.closeAllConnections();
    this.#http.close();
    await once(this.#http, "close");
  }
}

function forward(request: IncomingMessage, response: ServerResponse, server: string): void {
  const { method, headers, url } = request;
  const onwards = http.request(`http://${server}${url}`, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  request.pipe(onwards);
}

/** A browser that has a page open. */
class Browser implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "tollgate-page-"));
  readonly #process: ChildProcess;

  constructor(url: string) {
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-breakpad", "--remote-debugging-port=0"];
    const args = [...flags, `--user-data-dir=${this.#directory}`, url];
    // In a group of its own, so that its processes end together.
    this.#process = spawn(browser ?? "", args, { stdio: "ignore", detached: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, "exit");
    process.kill(-(this.#process.pid ?? Number.NaN), "SIGKILL");
    await ended;
    rmSync(this.#directory, { recursive: true, maxRetries: 10, retryDelay: 100 });
  }
}

withTollgate("a page in a browser", () => {
  test.skipIf(!browser)("lists virtual keys from where the server is, and from where it was allowed to", async () => {
    await using server = await startServer("--grpc-web");
    const { virtualKeys } = adminOf(server);
    for (const name of ["one", "two", "three"]) await virtualKeys.create({ name });
    await using site = new Site(await bundle(), server.place);
    const origin = await site.start();
    await using open = await startServer("--grpc-web", "--allow-origin", origin);
    await adminOf(open).virtualKeys.create({ name: "far" });
    const stranger = `tg_${"z".repeat(40)}`;

    const calls = [
      { server: origin, token: adminToken },
      { server: origin, token: stranger },
      // From a page whose origin is another than the server's: the browser asks the server for leave first, and gets none.
      { server: `http://${server.place}`, token: adminToken },
      { server: `http://${server.place}`, token: adminToken, protocol: "connect" },
      // Here it gets it.
      { server: `http://${open.place}`, token: adminToken },
      { server: `http://${open.place}`, token: adminToken, protocol: "connect" },
      { server: `http://${open.place}`, token: stranger, protocol: "connect" },
    ];
    const outcomes = site.outcomes();
    await using _ = new Browser(`${origin}/#${encodeURIComponent(JSON.stringify(calls))}`);
    expect(await outcomes).toEqual([
      ["one", "two", "three"],
      { code: Code.Unauthenticated, reason: ErrorReason.UNAUTHENTICATED },
      { code: Code.Unknown, reason: ErrorReason.UNSPECIFIED },
      { code: Code.Unknown, reason: ErrorReason.UNSPECIFIED },
      ["far"],
      ["far"],
      { code: Code.Unauthenticated, reason: ErrorReason.UNAUTHENTICATED },
    ]);
  });
});
