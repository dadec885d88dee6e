import { createConnectTransport } from "@connectrpc/connect-web";
import { bearer } from "../../src/bearer.js";
import { Admin, TollgateError } from "../../src/index.js";
import { connectAdmin } from "../../src/web.js";

/** The names of the virtual keys, with an access token that a person would type; or why they cannot be had. */
async function names(server: string, token: string, protocol: "grpc-web" | "connect"): Promise<unknown> {
  const names = [];
  try {
    const options = { baseUrl: server, useHttpGet: true, interceptors: [bearer(token)] };
    const admin = protocol === "connect" ? new Admin(createConnectTransport(options)) : connectAdmin({ server, token });
    for await (const key of admin.virtualKeys.list({ pageSize: 2 })) names.push(key.name);
    return names;
  } catch (error) {
    const { code, reason } = TollgateError.from(error);
    return { code, reason };
  }
}

const outcomes = [];
for (const { server, token, protocol } of JSON.parse(decodeURIComponent(location.hash.slice(1)))) {
  outcomes.push(await names(server, token, protocol));
}
await fetch("/outcomes", { method: "POST", body: JSON.stringify(outcomes) });
