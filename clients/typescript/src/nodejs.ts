import { readFileSync } from "node:fs";
import type { ClientSessionOptions, SecureClientSessionOptions } from "node:http2";
import { connect } from "node:net";
import type { Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Admin } from "./admin.js";
import { bearer } from "./bearer.js";
import { Gate } from "./gate.js";

/** The way to a control plane. Absent options come from the environment, by the names that `tollgate` itself reads. */
export interface AdminOptions {
  /** The server, as `https://tollgate.example.com:50051`; else `TOLLGATE_SERVER`, else `http://127.0.0.1:50051`. */
  readonly server?: string;
  /** The access token to send; else `TOLLGATE_TOKEN`. */
  readonly token?: string;
  /** PEM file of the CA that signed the server's certificate; else `TOLLGATE_TLS_CA`, else the CAs of Node.js. */
  readonly tlsCa?: string;
  /** PEM file of the certificate to present to a server with `--tls-client-ca`; else `TOLLGATE_TLS_CLIENT_CERT`. */
  readonly tlsClientCert?: string;
  /** PEM file of its private key; else `TOLLGATE_TLS_CLIENT_KEY`. */
  readonly tlsClientKey?: string;
  /** Milliseconds that an attempt at a call may take, unless the call says it; else 30,000. */
  readonly timeoutMs?: number;
  /** Interceptors of all calls. */
  readonly interceptors?: readonly Interceptor[];
}

/** The way to a node. */
export interface GateOptions {
  /** Where it listens, as `http://127.0.0.1:50052` or `unix:///run/tollgate/node.sock`; else `TOLLGATE_NODE`, else the first. */
  readonly node?: string;
  /** Milliseconds that an attempt at a call may take, unless the call says it; else 5,000. */
  readonly timeoutMs?: number;
  /** Interceptors of all calls. */
  readonly interceptors?: readonly Interceptor[];
}

/** Administers a control plane by gRPC. The connection is made by the first call, and keeps no process alive. */
export function connectAdmin(options: AdminOptions = {}): Admin {
  const token = options.token || process.env.TOLLGATE_TOKEN;
  const transport = createGrpcTransport({
    baseUrl: options.server || process.env.TOLLGATE_SERVER || "http://127.0.0.1:50051",
    nodeOptions: {
      ...pem("ca", options.tlsCa || process.env.TOLLGATE_TLS_CA),
      ...pem("cert", options.tlsClientCert || process.env.TOLLGATE_TLS_CLIENT_CERT),
      ...pem("key", options.tlsClientKey || process.env.TOLLGATE_TLS_CLIENT_KEY),
    },
    defaultTimeoutMs: options.timeoutMs ?? 30_000,
    interceptors: [...(options.interceptors ?? []), ...(token ? [bearer(token)] : [])],
  });
  return new Admin(transport);
}

/** Asks a node by gRPC. The connection is made by the first call, and keeps no process alive. */
export function connectGate(options: GateOptions = {}): Gate {
  const place = options.node || process.env.TOLLGATE_NODE || "http://127.0.0.1:50052";
  const socket = place.startsWith("unix://") ? place.slice("unix://".length) : undefined;
  const nodeOptions: ClientSessionOptions = socket ? { createConnection: () => connect(socket) } : {};
  const transport = createGrpcTransport({
    baseUrl: socket ? "http://localhost" : place.includes("://") ? place : `http://${place}`,
    nodeOptions,
    defaultTimeoutMs: options.timeoutMs ?? 5_000,
    interceptors: [...(options.interceptors ?? [])],
  });
  return new Gate(transport);
}

function pem(name: "ca" | "cert" | "key", file: string | undefined): SecureClientSessionOptions {
  return file ? { [name]: readFileSync(file) } : {};
}
