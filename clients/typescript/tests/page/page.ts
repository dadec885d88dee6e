import { TollgateError } from "../../src/index.js";
import { connectAdmin } from "../../src/web.js";

/** The names of the virtual keys, with an access token that a person would type; or why they cannot be had. */
async function names(server: string, token: string): Promise<unknown> {
  const names = [];
  try {
    for await (const key of connectAdmin({ server, token }).virtualKeys.list({ pageSize: 2 })) names.push(key.name);
    return names;
  } catch (error) {
    const { code, reason } = TollgateError.from(error);
    return { code, reason };
  }
}

const outcomes = [];
for (const { server, token } of JSON.parse(decodeURIComponent(location.hash.slice(1)))) {
  outcomes.push(await names(server, token));
}
await fetch("/outcomes", { method: "POST", body: JSON.stringify(outcomes) });
