import type { Interceptor } from "@connectrpc/connect";

/** Sends an access token with each call. */
export function bearer(token: string): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return await next(request);
  };
}
