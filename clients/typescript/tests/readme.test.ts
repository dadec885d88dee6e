import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { adminOf, adminToken, startNode, startServer, withTollgate } from "./programs.js";

const root = join(import.meta.dirname, "..");
const directory = join(root, "target/readme");

/** The code blocks of README.md as programs, which see the package as it is published. */
async function programs(): Promise<string[]> {
  const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)];
  mkdirSync(directory, { recursive: true });
  const names = blocks.map((_, index) => `block${index}`);
  blocks.forEach(([, code], index) => {
    writeFileSync(join(directory, `block${index}.ts`), code ?? "");
  });
  const compilerOptions = { noEmit: false, outDir: ".", rootDir: ".", skipLibCheck: true };
  const settings = { extends: "../../tsconfig.json", compilerOptions, include: ["*.ts"], exclude: [] };
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(settings));
  await promisify(execFile)(join(root, "node_modules/.bin/tsc"), ["-p", directory]);
  return names.map((name) => join(directory, `${name}.js`));
}

withTollgate("README.md", () => {
  test("its programs run as they are written", async () => {
    await using server = await startServer();
    await using node = await startNode(server);
    const env = {
      PATH: process.env.PATH,
      TOLLGATE_SERVER: `http://${server.place}`,
      TOLLGATE_TOKEN: adminToken,
      TOLLGATE_NODE: node.place,
    };
    const [administering, asking] = await programs();
    const { stdout } = await promisify(execFile)("node", [administering ?? ""], { env });
    expect(stdout.split("\n").map((line) => line.split(" ")[0])).toEqual([
      expect.stringMatching(/^sk-tg-/),
      "notebook",
      "virtual_key.name",
      "virtual_key.budgets[0].max_limit",
      "virtual_key.budgets[0].reset_duration",
      "",
    ]);

    const key = await adminOf(server).virtualKeys.create({
      name: "reader",
      providerConfigs: [{ provider: "openai", weight: 1, allowedModels: ["gpt-4o"], keyIds: ["*"] }],
      rateLimits: [{ requestMaxLimit: 1n, requestResetDuration: "1d" }],
    });
    const caller = `
      const { complete } = await import(${JSON.stringify(asking)});
      let answer;
      do answer = await complete(${JSON.stringify(key.value)}, "hello"); while (answer.status === 401);
      const next = await complete(${JSON.stringify(key.value)}, "again");
      console.log(await answer.text(), next.status, next.headers.has("retry-after"));`;
    const said = await promisify(execFile)("node", ["--input-type=module", "--eval", caller], { env });
    expect(said.stdout).toBe("openai/gpt-4o heard hello 429 true\n");
  });
});
