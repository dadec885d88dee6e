import { createHash } from "node:crypto";
import { join } from "node:path";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NodeState } from "../src/gen/tollgate/node/v1/index.js";
import { type Admin, Decision, type Gate, Refused, TollgateError } from "../src/index.js";
import { connectGate } from "../src/nodejs.js";
import { adminOf, type Program, startNode, startServer, withTollgate } from "./programs.js";

/** The error of a call that must fail. */
async function thrown(call: Promise<unknown>): Promise<unknown> {
  return await call.then(
    () => expect.fail("it did not fail"),
    (error) => error,
  );
}

withTollgate("Gate", () => {
  let server: Program;
  let node: Program;
  let admin: Admin;
  let gate: Gate;

  beforeAll(async () => {
    server = await startServer();
    node = await startNode(server);
    admin = adminOf(server);
    gate = connectGate({ node: node.place, timeoutMs: 60_000 });
  });
  afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  /** A key for two models with so many requests a day, once the node knows it. */
  async function keyWith(name: string, requestMaxLimit: bigint): Promise<{ id: string; value: string }> {
    const key = await admin.virtualKeys.create({
      name,
      providerConfigs: [
        { provider: "openai", weight: 1, allowedModels: ["gpt-4o", "gpt-4o-mini"], keyIds: ["*"] },
        { provider: "anthropic", weight: 0, allowedModels: ["claude-sonnet-4-5"], keyIds: ["*"] },
      ],
      rateLimits: [{ requestMaxLimit, requestResetDuration: "1d" }],
    });
    await expect.poll(() => gate.check({ virtualKeyId: key.id, model: "gpt-4o" }), { timeout: 60_000 }).toBeUndefined();
    return key;
  }

  test("admits, moves and settles", async () => {
    const key = await keyWith("moving", 10n);
    const admission = await gate.admit({
      virtualKeyValue: key.value,
      model: "gpt-4o",
      fallbacks: ["anthropic/claude-sonnet-4-5"],
      headers: { "x-tier": "gold" },
      estimate: { promptBytes: 400, outputTokens: 50n },
      endUser: "ada",
      session: "s-1",
      tool: "search",
      tags: ["beta", "team-a"],
    });
    expect(admission).toMatchObject({ provider: "openai", model: "gpt-4o", providerKeyId: "" });
    expect(admission.fallbacks).toEqual(["anthropic/claude-sonnet-4-5"]);
    expect(admission.estimate).toMatchObject({ inputTokens: 100n, outputTokens: 50n });
    expect(admission.headers["x-ratelimit-limit-requests"]).toBe("10");
    expect(admission.id).toMatch(/^[0-9a-f]{32}$/);
    expect(admission.expiresAt?.getTime()).toBeGreaterThan(Date.now());

    const before = admission.expiresAt?.getTime() ?? 0;
    await admission.touch();
    expect(admission.expiresAt?.getTime()).toBeGreaterThanOrEqual(before);
    const refused = await thrown(admission.touch({ provider: "openai", model: "o3" }));
    expect(refused).toBeInstanceOf(Refused);
    expect(admission.model).toBe("gpt-4o");
    await admission.touch({ provider: "anthropic", model: "claude-sonnet-4-5", estimate: { outputTokens: 20 } });
    expect(admission).toMatchObject({ provider: "anthropic", model: "claude-sonnet-4-5" });
    expect(admission.fallbacks).toEqual(["anthropic/claude-sonnet-4-5"]);

    const tags = ["beta"] as const;
    const usage = { inputTokens: 812, outputTokens: 230, costNanoUsd: 7_000n, cacheReadTokens: 12, tags };
    const wrong = await thrown(admission.settle({ ...usage, tags: [""] }));
    expect(wrong).toMatchObject({ violations: [{ field: "tags[0]" }] });
    const charge = await admission.settle(usage);
    expect(charge).toMatchObject({ inputTokens: 812n, outputTokens: 230n, costNanoUsd: 7_000n });
    expect(await admission.settle({ inputTokens: 1 })).toEqual(charge);
    expect(await admission.abandon()).toBe(false);

    const counted = async () => (await admin.virtualKeys.get(key.id)).rateLimits[0]?.requestCurrentUsage;
    await expect.poll(counted, { timeout: 60_000 }).toBe(1n);
  });

  test("an admission that is left without being settled is abandoned", async () => {
    const key = await keyWith("leaving", 1n);
    for (let attempt = 0; attempt < 3; attempt++) {
      await using admission = await gate.admit({ virtualKeyValue: key.value, model: "gpt-4o" });
      expect(admission.provider).toBe("openai");
    }
    {
      await using admission = await gate.admit({ virtualKeyValue: key.value, model: "gpt-4o" });
      await admission.settle({ inputTokens: 1 });
    }
    const refused = await thrown(gate.admit({ virtualKeyValue: key.value, model: "gpt-4o" }));
    expect(refused).toBeInstanceOf(Refused);
    expect(refused).toMatchObject({ decision: Decision.REQUEST_LIMITED, httpStatus: 429 });
    expect((refused as Refused).retryAfterMs).toBeGreaterThan(0);
    expect((refused as Refused).limit?.max).toBe(1n);
    expect((refused as Refused).message).toMatch(/^REQUEST_LIMITED: /);
  });

  test("a key is named by its value, its SHA-256 or its id", async () => {
    const key = await keyWith("naming", 10n);
    const virtualKeySha256 = createHash("sha256").update(key.value).digest();
    expect(await gate.check({ virtualKeySha256, model: "gpt-4o" })).toBeUndefined();
    expect(await gate.check({ virtualKeyValue: key.value, model: "gpt-4o" })).toBeUndefined();
    const stranger = await gate.check({ virtualKeyValue: "sk-nobody", model: "gpt-4o" });
    expect(stranger).toMatchObject({ decision: Decision.UNKNOWN_KEY, httpStatus: 401, retryAfterMs: undefined });
  });

  test("an error of a call is no refusal", async () => {
    const error = await thrown(gate.admit({ model: "" }));
    expect(error).toBeInstanceOf(TollgateError);
    expect(error).toMatchObject({ code: Code.InvalidArgument });
    const away = await thrown(connectGate({ node: "127.0.0.1:1" }).admit({ model: "gpt-4o" }));
    expect(away).toMatchObject({ code: Code.Unavailable });
  });

  test("tells how the node stands", async () => {
    expect(await gate.status()).toMatchObject({ state: NodeState.READY, admits: true, nodeId: "gw-1" });
  });

  test("a settlement whose answer was lost is repeated; an admission is not", async () => {
    const key = await keyWith("losing", 10n);
    const attempts: string[] = [];
    const losing: Interceptor = (next) => async (request) => {
      const answer = await next(request);
      attempts.push(request.method.name);
      if (attempts.filter((it) => it === request.method.name).length === 1) {
        throw new ConnectError("the connection broke", Code.Unavailable);
      }
      return answer;
    };
    const broken = connectGate({ node: node.place, timeoutMs: 60_000, interceptors: [losing] });
    const request = { virtualKeyValue: key.value, model: "gpt-4o" };
    expect(await thrown(broken.admit(request))).toMatchObject({ code: Code.Unavailable });
    const admission = await broken.admit(request);
    expect(await admission.settle({ inputTokens: 5, outputTokens: 6 })).toMatchObject({ outputTokens: 6n });
    expect(attempts).toEqual(["Admit", "Admit", "Settle", "Settle"]);
  });

  test("a node on a Unix socket", async () => {
    await using other = await startServer();
    const socket = `unix://${join(other.directory, "node.sock")}`;
    await using beside = await startNode(other, socket);
    expect(beside.place).toBe(socket);
    expect(await connectGate({ node: socket }).status()).toMatchObject({ state: NodeState.READY });
  });
});
