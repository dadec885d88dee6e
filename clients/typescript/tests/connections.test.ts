import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Admin } from "../src/index.js";
import { connectAdmin } from "../src/nodejs.js";
import { adminOf, adminToken, startServer, withTollgate } from "./programs.js";

/** The code of the error that a call fails with; undefined if it goes well. */
async function codeOf(admin: Admin): Promise<Code | undefined> {
  return await admin.teams
    .list()
    .next()
    .then(
      () => undefined,
      ({ code }) => code,
    );
}

withTollgate("the way to a control plane", () => {
  const directory = mkdtempSync(join(tmpdir(), "tollgate-tls-"));
  const file = (name: string) => join(directory, name);

  beforeAll(() => {
    const make = ["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    const leaf = ["-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-addext", "basicConstraints=critical,CA:FALSE"];
    const to = (name: string, subject: string) =>
      ["-keyout", file(`${name}.key`), "-out", file(`${name}.pem`), "-subj", `/CN=${subject}`] as const;
    const options = { stdio: "pipe" } as const;
    execFileSync("openssl", [...make, ...to("ca", "CA")], options);
    execFileSync(
      "openssl",
      [...make, ...to("both", "localhost"), ...leaf, "-addext", "subjectAltName=DNS:localhost"],
      options,
    );
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test("by TLS, with a certificate of its own where the server asks for one", async () => {
    const tls = ["--tls-cert", file("both.pem"), "--tls-key", file("both.key"), "--tls-client-ca", file("ca.pem")];
    await using server = await startServer(...tls);
    const options = {
      server: `https://localhost:${server.place.split(":").at(-1)}`,
      token: adminToken,
      tlsCa: file("ca.pem"),
      tlsClientCert: file("both.pem"),
      tlsClientKey: file("both.key"),
    };
    expect(await codeOf(connectAdmin(options))).toBeUndefined();
    expect(await codeOf(connectAdmin({ ...options, tlsClientCert: "", tlsClientKey: "" }))).toBeDefined();
    expect(await codeOf(connectAdmin({ ...options, tlsCa: "" }))).toBeDefined();
  });

  test("goes on when the server has started again", async () => {
    await using server = await startServer();
    const { place } = server;
    const admin = adminOf(server);
    const team = await admin.teams.create({ name: "Staying" });
    await server.stop();
    expect(await codeOf(admin)).toBe(Code.Unavailable);
    await server.start(place);
    expect(await admin.teams.get(team.id)).toEqual(team);
  });
});
