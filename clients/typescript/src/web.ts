import type { Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { Admin } from "./admin.js";
import { bearer } from "./bearer.js";

/** The way to a control plane from a page. */
export interface WebOptions {
  /** The server, which runs with `--grpc-web`, as `https://tollgate.example.com:50051`. */
  readonly server: string;
  /** The access token to send. Ask the person for it; a page that has it built in gives it to everybody. */
  readonly token: string;
  /** Milliseconds that an attempt at a call may take, unless the call says it; else 30,000. */
  readonly timeoutMs?: number;
  /** Interceptors of all calls. */
  readonly interceptors?: readonly Interceptor[];
}

/** Administers a control plane by gRPC-Web. */
export function connectAdmin(options: WebOptions): Admin {
  const transport = createGrpcWebTransport({
    baseUrl: options.server,
    defaultTimeoutMs: options.timeoutMs ?? 30_000,
    interceptors: [...(options.interceptors ?? []), bearer(options.token)],
  });
  return new Admin(transport);
}
