import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { bearer } from "../src/bearer.js";
import { ConfigService, type WatchConfigResponse } from "../src/gen/tollgate/v1/index.js";
import { Admin, ErrorReason } from "../src/index.js";
import { adminToken, startServer, withTollgate } from "./programs.js";

const ways = [
  { httpVersion: "1.1", useBinaryFormat: false },
  { httpVersion: "2", useBinaryFormat: true },
] as const;

withTollgate("the Connect protocol", () => {
  test.each(ways)("by $httpVersion, binary: $useBinaryFormat", async (way) => {
    await using server = await startServer();
    const interceptors = [bearer(adminToken)];
    const transport = createConnectTransport({
      baseUrl: `http://${server.place}`,
      interceptors,
      useHttpGet: true,
      ...way,
    });
    const admin = new Admin(transport);
    const labels = { one: "n".repeat(1_000), other: "n".repeat(1_000) };
    const team = await admin.teams.create({
      name: "Research",
      labels,
      budgets: [{ maxLimit: 5, resetDuration: "1M" }],
    });
    expect(await admin.teams.get(team.id)).toEqual(team);
    expect(team.budgets[0]?.maxLimitNanoUsd).toBe(5_000_000_000n);

    const taken = await admin.teams.create({ name: "Research" }).then(undefined, (error) => error);
    expect([taken.code, taken.reason]).toEqual([Code.AlreadyExists, ErrorReason.ALREADY_EXISTS]);
    expect(taken.callId).not.toBe("");

    const kinds: WatchConfigResponse["event"]["case"][] = [];
    for await (const { event } of createClient(ConfigService, transport).watchConfig({})) {
      kinds.push(event.case);
      if (event.case === "bookmark") break;
    }
    expect(kinds[0]).toBe("begin");
    expect(kinds).toContain("batch");
  });
});
