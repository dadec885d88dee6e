import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, isFieldSet } from "@bufbuild/protobuf";
import { Code, type Transport } from "@connectrpc/connect";
import { TollgateError } from "./errors.js";

/** Settings of one call. */
export interface CallOptions {
  /** Ends the call. */
  readonly signal?: AbortSignal;
  /** Milliseconds that one attempt may take. */
  readonly timeoutMs?: number;
  /** Further headers. */
  readonly headers?: HeadersInit;
}

/** The most attempts at a call that may be repeated. */
const ATTEMPTS = 4;
/** How long to wait before the second attempt, in milliseconds, where the server does not say. Doubles each time. */
const FIRST_PAUSE_MS = 100;
/** The longest wait before an attempt; a server that asks for a longer one is not asked again. */
const LONGEST_PAUSE_MS = 5_000;

/** Makes a call once. Fails with a `TollgateError`. */
export async function call<I extends DescMessage, O extends DescMessage>(
  transport: Transport,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
  options: CallOptions = {},
): Promise<MessageShape<O>> {
  try {
    const { signal, timeoutMs, headers } = options;
    return (await transport.unary(method, signal, timeoutMs, headers, request)).message;
  } catch (error) {
    throw TollgateError.from(error);
  }
}

/**
 * Makes a call that does nothing twice, and repeats it while the service is unavailable: up to four attempts, with pauses
 * as the server asks for them.
 */
export async function callAgain<I extends DescMessage, O extends DescMessage>(
  transport: Transport,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
  options: CallOptions = {},
): Promise<MessageShape<O>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(transport, method, request, options);
    } catch (error) {
      const { code, retryAfterMs } = TollgateError.from(error);
      const pause = retryAfterMs ?? FIRST_PAUSE_MS * 2 ** (attempt - 1);
      if (code !== Code.Unavailable || attempt === ATTEMPTS || pause > LONGEST_PAUSE_MS) throw error;
      await sleep(pause, options.signal);
    }
  }
}

/** The request with a request id of its own, if it has the field and nobody filled it. */
export function identified<I extends DescMessage>(schema: I, request: MessageInitShape<I>): MessageShape<I> {
  const message = create(schema, request);
  const field = schema.field.requestId;
  if (field && !isFieldSet(message, field)) Object.assign(message, { requestId: uuid() });
  return message;
}

/** A random UUID, also in pages that were not loaded by HTTPS, where `crypto.randomUUID` is missing. */
function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes.set([((bytes[6] ?? 0) & 0x0f) | 0x40], 6);
  bytes.set([((bytes[8] ?? 0) & 0x3f) | 0x80], 8);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Waits; fails at once when the signal is aborted. */
function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(TollgateError.from(signal?.reason));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
