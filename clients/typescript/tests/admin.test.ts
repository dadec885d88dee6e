import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Creatable, CreateMethods } from "../src/collection.js";
import {
  ConfigService,
  ModelConfigScope,
  PricingMatchType,
  PricingRequestType,
  PricingScopeKind,
  Role,
  RoutingScope,
  type Team,
  VirtualKeyService,
  WebhookEvent,
} from "../src/gen/tollgate/v1/index.js";
import { type Admin, ErrorReason, TollgateError } from "../src/index.js";
import { adminOf, type Program, startServer, withTollgate } from "./programs.js";

/** The error of a call that must fail. */
async function failure(call: Promise<unknown>): Promise<TollgateError> {
  const error = await call.then(
    () => undefined,
    (error) => error,
  );
  expect(error).toBeInstanceOf(TollgateError);
  return error;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

withTollgate("Admin", () => {
  let server: Program;
  let admin: Admin;

  beforeAll(async () => {
    server = await startServer();
    admin = adminOf(server);
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const change = async (team: Team) =>
    (await admin.changes.list({ id: team.id }).next()).value as { requestId: string; method: string };

  test("creates, gets and deletes", async () => {
    const customer = await admin.customers.create({
      name: "Acme",
      budgets: [{ maxLimit: 500, resetDuration: "1M" }],
      labels: { region: "eu" },
    });
    expect(customer.budgets[0]?.maxLimitNanoUsd).toBe(500_000_000_000n);
    expect(await admin.customers.get(customer.id)).toEqual(customer);

    const deleted = await admin.customers.delete(customer.id, { revision: customer.revision });
    expect(deleted.revision).toBeGreaterThan(customer.revision);
    const error = await failure(admin.customers.get(customer.id));
    expect([error.code, error.reason]).toEqual([Code.NotFound, ErrorReason.NOT_FOUND]);
    expect(error.resource).toEqual({ type: "tollgate.v1/customer", name: customer.id });
    expect(error.callId).not.toBe("");
  });

  test("validates without doing", async () => {
    await admin.teams.create({ name: "Ghosts" }, { validateOnly: true });
    expect(await all(admin.teams.list({ search: "ghosts" }))).toEqual([]);
  });

  test("sends what an edit changed, and nothing else", async () => {
    const team = await admin.teams.create({ name: "Research", labels: { floor: "1" }, calendarAligned: true });
    // Somebody else's change of another field stays, since the patch does not name it.
    await admin.teams.patch(team.id, { labels: { floor: "2" } });
    const error = await failure(
      admin.teams.update(team, (team) => {
        team.name = "Search";
      }),
    );
    expect([error.code, error.reason]).toEqual([Code.Aborted, ErrorReason.REVISION_MISMATCH]);
    expect(error.facts.expected).toBe(String(team.revision));

    const sent: unknown[] = [];
    const watching: Interceptor = (next) => async (request) => {
      if (request.method.name === "UpdateTeam") sent.push(request.message);
      return await next(request);
    };
    const { teams } = adminOf(server, { interceptors: [watching] });
    const before = await teams.get(team.id);
    const after = await teams.update(before, (team) => {
      team.calendarAligned = false;
      team.profile = { lead: "Ada", size: 3 };
    });
    expect(sent).toMatchObject([
      {
        team: {
          id: team.id,
          revision: before.revision,
          name: "",
          labels: {},
          calendarAligned: false,
          profile: { size: 3 },
        },
        updateMask: { paths: ["calendar_aligned", "profile"] },
      },
    ]);
    expect(before.calendarAligned).toBe(true);
    expect(after).toMatchObject({
      name: "Research",
      calendarAligned: false,
      labels: { floor: "2" },
      profile: { lead: "Ada", size: 3 },
    });
  });

  test("an edit that changes nothing takes no revision", async () => {
    const team = await admin.teams.create({ name: "Calm", labels: { a: "1", b: "2" } });
    const same = await admin.teams.update(team, (team) => {
      team.labels = { b: "2", a: "1" };
    });
    expect(same.revision).toBe(team.revision);
  });

  test("clears a field that a patch names without a value", async () => {
    const key = await admin.virtualKeys.create({ name: "clearing", isActive: false, description: "old" });
    expect(key.isActive).toBe(false);
    const cleared = await admin.virtualKeys.patch(key.id, { description: undefined, isActive: undefined });
    expect(cleared).toMatchObject({ description: "", isActive: true });
  });

  test("keeps every kind", async () => {
    /** Creates, gets, lists, edits and deletes one. */
    async function live<M extends CreateMethods>(kind: Creatable<M>, init: Parameters<typeof kind.create>[0]) {
      const made = await kind.create(init);
      const { id } = made as unknown as { id: string };
      expect(await kind.get(id)).toEqual(made);
      expect(await all(kind.list())).toContainEqual(made);
      expect(await kind.update(made, () => {})).toEqual(made);
      await kind.delete(id);
      expect((await failure(kind.get(id))).code).toBe(Code.NotFound);
    }
    const limit = { rateLimits: [{ requestMaxLimit: 10n, requestResetDuration: "1m" }] };
    await live(admin.providers, { name: "own-models", keys: [{ name: "first", models: ["llama*"] }] });
    await live(admin.mcpClients, { name: "wiki", tools: ["search"] });
    await live(admin.customers, { name: "Every", ...limit });
    await live(admin.teams, { name: "Every", ...limit });
    await live(admin.virtualKeys, { name: "every", value: "sk-own-key-for-tests-of-every-kind", ...limit });
    await live(admin.modelConfigs, { modelName: "gpt-4o", scope: ModelConfigScope.GLOBAL, ...limit });
    await live(admin.modelPrices, { provider: "openai", model: "unheard-of", rates: { inputCostPerToken: 1e-6 } });
    await live(admin.webhooks, {
      name: "every",
      url: "https://alerts.invalid",
      secret: `whsec_${"AbCd".repeat(10)}`,
      events: [WebhookEvent.KEY_EXPIRING],
    });
    await live(admin.routingRules, {
      name: "all to one",
      celExpression: "model.startsWith('gpt')",
      scope: RoutingScope.GLOBAL,
      targets: [{ provider: "openai", weight: 1 }],
    });
    await live(admin.pricingOverrides, {
      name: "discount",
      scopeKind: PricingScopeKind.GLOBAL,
      matchType: PricingMatchType.EXACT,
      pattern: "gpt-4o",
      requestTypes: [PricingRequestType.CHAT_COMPLETION],
      patch: { inputCostPerToken: 1e-6 },
    });
  });

  test("lists what is no resource of its own", async () => {
    const team = await admin.teams.create({ name: "Listed", budgets: [{ maxLimit: 1, resetDuration: "1d" }] });
    expect(await all(admin.budgets.list({ teamId: team.id }))).toMatchObject([{ maxLimitNanoUsd: 1_000_000_000n }]);
    expect(await all(admin.rateLimits.list({ teamId: team.id }))).toEqual([]);
    expect(await all(admin.accessTokens.list())).toMatchObject([{ role: Role.ADMIN }]);
    expect(await all(admin.spend.list({ groupBy: ["team"] }))).toEqual([]);
  });

  test("limits of a provider are made by the first change", async () => {
    const made = await admin.providerGovernance.patch("openai", {
      rateLimits: [{ requestMaxLimit: 10n, requestResetDuration: "1m" }],
    });
    expect(made.provider).toBe("openai");
    expect(await admin.providerGovernance.get("openai")).toEqual(made);
    expect((await all(admin.rateLimits.list({ provider: "openai" }))).map((it) => it.requestMaxLimit)).toEqual([10n]);
  });

  test("pages are fetched as they are needed", async () => {
    const names = Array.from({ length: 7 }, (_, index) => `paged ${index}`);
    for (const name of names) await admin.virtualKeys.create({ name });
    const filters = { search: "PAGED", pageSize: 3 };
    expect((await all(admin.virtualKeys.list(filters))).map((key) => key.name)).toEqual(names);
    const pages = await all(admin.virtualKeys.pages(filters));
    expect(pages.map((page) => [page.virtualKeys.length, page.totalSize])).toEqual([
      [3, 7],
      [3, 7],
      [1, 7],
    ]);

    let asked = 0;
    const counting: Interceptor = (next) => async (request) => {
      asked += 1;
      return await next(request);
    };
    for await (const key of adminOf(server, { interceptors: [counting] }).virtualKeys.list(filters)) {
      expect(key.name).toBe("paged 0");
      break;
    }
    expect(asked).toBe(1);
  });

  test("an error has every violation", async () => {
    const error = await failure(
      admin.virtualKeys.create({
        name: "",
        providerConfigs: [{ provider: "openai", weight: -1 }],
        budgets: [{ maxLimit: -5, resetDuration: "soon" }],
      }),
    );
    expect([error.code, error.reason]).toEqual([Code.InvalidArgument, ErrorReason.INVALID_FIELD]);
    expect(error.violations.map((it) => it.field).sort()).toEqual([
      "virtual_key.budgets[0].max_limit",
      "virtual_key.budgets[0].reset_duration",
      "virtual_key.name",
      "virtual_key.provider_configs[0].weight",
    ]);
    expect(error.violations.every((it) => it.description !== "")).toBe(true);

    const missing = await failure(
      admin.routingRules.create({
        name: "to nowhere",
        celExpression: "true",
        scope: RoutingScope.TEAM,
        scopeId: "0197f1de-0000-7000-8000-000000000000",
        targets: [{ weight: 1, provider: "openai" }],
      }),
    );
    expect(missing.reason).toBe(ErrorReason.REFERENCE_NOT_FOUND);
    expect(missing.violations.map((it) => it.field)).toEqual([
      "routing_rule.scope_id/0197f1de-0000-7000-8000-000000000000",
    ]);

    const unknown = await failure(
      adminOf(server, { token: `tg_${"z".repeat(40)}` })
        .teams.list()
        .next(),
    );
    expect([unknown.code, unknown.reason]).toEqual([Code.Unauthenticated, ErrorReason.UNAUTHENTICATED]);
  });

  test("each change has a request id, of its own or the caller's", async () => {
    const requestId = "0c9f2f54-73f5-4b4e-9d1c-2a9b1b3c7a10";
    const given = await admin.teams.create({ name: "Given" }, { requestId });
    expect((await change(given)).requestId).toBe(requestId);
    expect(await admin.teams.create({ name: "Given" }, { requestId })).toEqual(given);
    const made = await admin.teams.create({ name: "Made" });
    expect((await change(made)).requestId).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });

  test("a change whose answer was lost is repeated, and done once", async () => {
    let attempts = 0;
    const losing: Interceptor = (next) => async (request) => {
      const answer = await next(request);
      attempts += 1;
      if (attempts === 1) throw new ConnectError("the connection broke", Code.Unavailable);
      return answer;
    };
    const team = await adminOf(server, { interceptors: [losing] }).teams.create({ name: "Once" });
    expect(attempts).toBe(2);
    expect(await all(admin.teams.list({ search: "once" }))).toEqual([team]);
  });

  test("a server that is away is UNAVAILABLE, without a reason of Tollgate", async () => {
    const nowhere = adminOf(server, { server: "http://127.0.0.1:1" });
    const error = await failure(nowhere.teams.list().next());
    expect([error.code, error.reason, error.callId]).toEqual([Code.Unavailable, ErrorReason.UNSPECIFIED, ""]);
  });

  test("an aborted signal ends the wait between attempts", async () => {
    const nowhere = adminOf(server, { server: "http://127.0.0.1:1" });
    const error = await failure(nowhere.teams.get("x", { signal: AbortSignal.abort() }));
    expect(error.code).toBe(Code.Canceled);
  });

  test("any other method, and streams, by the same way", async () => {
    const key = await admin.virtualKeys.create({ name: "turning" });
    expect(key.value).toMatch(/^sk-tg-/);
    const { virtualKey } = await admin.call(VirtualKeyService.method.rotateVirtualKey, { id: key.id });
    const found = await admin.call(VirtualKeyService.method.lookupVirtualKey, {
      key: { case: "value", value: virtualKey?.value ?? "" },
    });
    expect(found.virtualKey?.id).toBe(key.id);

    for await (const { event } of createClient(ConfigService, admin.transport).watchConfig({})) {
      expect(event.case).toBe("begin");
      break;
    }
  });
});
