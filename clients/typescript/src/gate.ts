import { create } from "@bufbuild/protobuf";
import { durationMs, type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Transport } from "@connectrpc/connect";
import { type CallOptions, call, callAgain } from "./call.js";
import {
  AdmitRequestSchema,
  type AdmitResponse,
  type Admission as Admitted,
  type Estimate as EstimateMessage,
  EstimateSchema,
  GateService,
  type GetStatusResponse,
  NodeStatusService,
  type Refusal,
} from "./gen/tollgate/node/v1/index.js";
import { Decision, type ExplainedLimit } from "./gen/tollgate/v1/index.js";

/** A count of LLM tokens, bytes or nano-dollars. */
export type Count = number | bigint;

/** The expected usage of a request. The node estimates what is absent. */
export interface Estimate {
  /** LLM tokens of the prompt. */
  readonly inputTokens?: Count;
  /** Bytes of the prompt, for those who do not count LLM tokens. */
  readonly promptBytes?: Count;
  /** LLM tokens of the answer at most: the caller's `max_tokens`. */
  readonly outputTokens?: Count;
  /** Cost in nano-dollars. */
  readonly costNanoUsd?: Count;
}

/**
 * The dimensions of spend: whom and what a request is for. They decide nothing, and are reported with the usage. Each has at most
 * 128 bytes.
 */
export interface Dimensions {
  /** The end user, by a name or id of the caller. */
  readonly endUser?: string;
  /** The session: a conversation, or one run of an agent. */
  readonly session?: string;
  /** The tool: a program, or a step of one. */
  readonly tool?: string;
  /** Tags, a set of at most 16. */
  readonly tags?: readonly string[];
}

/** A request to a model, as the gateway meets it. */
export interface GateRequest extends Dimensions {
  /** The virtual key of the request, as the caller sent it; or one of the next two; or none. */
  readonly virtualKeyValue?: string;
  /** The SHA-256 of its value. */
  readonly virtualKeySha256?: Uint8Array;
  /** Its id. */
  readonly virtualKeyId?: string;
  /** The model asked for. */
  readonly model: string;
  /** The provider asked for; absent if the node is to choose. */
  readonly provider?: string;
  /** The provider key asked for; absent for any. */
  readonly providerKeyId?: string;
  /** The kind of request, as `embedding` or `chat_completion_stream`; absent: `chat_completion`. */
  readonly requestType?: string;
  /** Headers of the request, for routing rules. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Query parameters of the request, for routing rules. */
  readonly params?: Readonly<Record<string, string>>;
  /** Where the caller would turn if the request fails, as `provider/model`. */
  readonly fallbacks?: readonly string[];
  /** The usage that is expected. */
  readonly estimate?: Estimate;
}

/** Where a request goes. */
export interface Target {
  /** The provider; absent for the present one. */
  readonly provider?: string;
  /** The model; absent for the present one. */
  readonly model?: string;
  /** The provider key; absent for any, where a provider or a model is given. */
  readonly providerKeyId?: string;
  /** The usage that is expected there. */
  readonly estimate?: Estimate;
}

/** The usage of a request. Its dimensions are those that were admitted, where they are absent. */
export interface Usage extends Dimensions {
  /** LLM tokens of the prompt: all of them, those of the provider's cache included. */
  readonly inputTokens?: Count;
  /** LLM tokens of the answer. */
  readonly outputTokens?: Count;
  /** Cost in nano-dollars; absent: the price of the model decides. */
  readonly costNanoUsd?: Count;
  /** Of the LLM tokens of the prompt, those that were read from the provider's cache. */
  readonly cacheReadTokens?: Count;
  /** Of the LLM tokens of the prompt, those that were written to the provider's cache. */
  readonly cacheCreationTokens?: Count;
  /** The provider that answered; absent for the one that was admitted. */
  readonly provider?: string;
  /** The model that answered; absent for the one that was admitted. */
  readonly model?: string;
  /** The provider key that was used; absent for the one that was admitted, if that provider answered. */
  readonly providerKeyId?: string;
}

/** The whole charge for a request. */
export interface Charge {
  /** LLM tokens of the prompt. */
  readonly inputTokens: bigint;
  /** LLM tokens of the answer. */
  readonly outputTokens: bigint;
  /** Nano-dollars. */
  readonly costNanoUsd: bigint;
}

/** A request that may not go on. */
export class Refused extends Error {
  override readonly name = "Refused";
  /** The decision. */
  readonly decision: Decision;
  /** The HTTP status to answer the caller with. */
  readonly httpStatus: number;
  /** After how many milliseconds the request may be tried again; undefined if waiting does not help. */
  readonly retryAfterMs: number | undefined;
  /** The limit that is used up, if one decided. */
  readonly limit: ExplainedLimit | undefined;

  /** Made by `Gate`. */
  constructor({ decision, reason, httpStatus, retryAfter, limit }: Refusal) {
    super(`${Decision[decision] ?? decision}: ${reason}`);
    this.decision = decision;
    this.httpStatus = httpStatus;
    this.retryAfterMs = retryAfter && durationMs(retryAfter);
    this.limit = limit;
  }
}

/**
 * A node, for the gateway beside it: ask `admit` before a request goes to a provider. Calls fail with a `TollgateError`,
 * and with `Refused` if the request may not go on.
 */
export class Gate {
  readonly #transport: Transport;

  /** Asks the node that the transport leads to. `connectGate` of `@tollgate/client/nodejs` makes one. */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Decides on a request, and holds what it is expected to use until the admission ends. */
  async admit(request: GateRequest, options?: CallOptions): Promise<Admission> {
    const answer = await call(this.#transport, GateService.method.admit, admitRequest(request, false), options);
    return new Admission(this.#transport, admittedBy(answer));
  }

  /** Decides on a request, and holds nothing. Answers with the refusal, or with undefined for a request that may go on. */
  async check(request: GateRequest, options?: CallOptions): Promise<Refused | undefined> {
    const answer = await callAgain(this.#transport, GateService.method.admit, admitRequest(request, true), options);
    return answer.outcome.case === "refused" ? new Refused(answer.outcome.value) : undefined;
  }

  /** Tells how the node stands. */
  async status(options?: CallOptions): Promise<GetStatusResponse> {
    return await callAgain(this.#transport, NodeStatusService.method.getStatus, {}, options);
  }
}

/**
 * A request that may go on. It ends once: by `settle`, by `abandon`, or when its time is up, which charges it at its
 * estimate. With `await using`, one that was not settled is abandoned.
 */
export class Admission implements AsyncDisposable {
  readonly #transport: Transport;
  #admitted: Admitted;
  #expiresAt: Timestamp | undefined;
  #ended = false;

  /** Made by `Gate`. */
  constructor(transport: Transport, admitted: Admitted) {
    this.#transport = transport;
    this.#admitted = admitted;
    this.#expiresAt = admitted.expireTime;
  }

  /** The id, to end the admission with from elsewhere. */
  get id(): string {
    return this.#admitted.admissionId;
  }

  /** The provider that the request goes to; empty if no key limits the choice and the request names none. */
  get provider(): string {
    return this.#admitted.provider;
  }

  /** The model that it goes to. */
  get model(): string {
    return this.#admitted.model;
  }

  /** The provider key to use; empty for any. */
  get providerKeyId(): string {
    return this.#admitted.providerKeyId;
  }

  /** Where to turn next if the request fails, as `provider/model`. */
  get fallbacks(): readonly string[] {
    return this.#admitted.fallbacks;
  }

  /** Headers to add to the answer: they tell the caller of its tightest limits. */
  get headers(): Readonly<Record<string, string>> {
    return this.#admitted.headers;
  }

  /** The estimate that is held. */
  get estimate(): EstimateMessage {
    return this.#admitted.estimate ?? create(EstimateSchema);
  }

  /** When its time is up, unless it is touched. */
  get expiresAt(): Date | undefined {
    return this.#expiresAt && timestampDate(this.#expiresAt);
  }

  /**
   * Gives the admission its whole time again. With a target, it moves there first: call it before each further attempt at
   * another provider, model or provider key. If that is `Refused`, the admission stays what it was.
   */
  async touch(target: Target = {}, options?: CallOptions): Promise<void> {
    const { estimate, ...where } = target;
    const request = { ...where, admissionId: this.id, ...(estimate && { estimate: counts(estimate) }) };
    const answer = await callAgain(this.#transport, GateService.method.touch, request, options);
    const { outcome, expireTime } = answer;
    if (outcome.case === "refused") throw new Refused(outcome.value);
    if (outcome.case === "admitted") this.#admitted = { ...outcome.value, fallbacks: this.#admitted.fallbacks };
    this.#expiresAt = expireTime;
  }

  /** Ends the admission with what the request used. When it is answered, that is on the node's disk and counted once. */
  async settle(usage: Usage, options?: CallOptions): Promise<Charge> {
    const { tags = [], ...figures } = usage;
    const request = { ...counts(figures), tags: [...tags], admissionId: this.id };
    const charge = await callAgain(this.#transport, GateService.method.settle, request, options);
    this.#ended = true;
    return charge;
  }

  /** Ends the admission of a request that used nothing. Tells whether it was open until now. */
  async abandon(options?: CallOptions): Promise<boolean> {
    const request = { admissionId: this.id };
    const { wasOpen } = await callAgain(this.#transport, GateService.method.abandon, request, options);
    this.#ended = true;
    return wasOpen;
  }

  /** Abandons the admission, unless it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) await this.abandon();
  }
}

/** The admission in an answer; a refusal is thrown. */
function admittedBy({ outcome }: AdmitResponse): Admitted {
  if (outcome.case === "admitted") return outcome.value;
  if (outcome.case === "refused") throw new Refused(outcome.value);
  throw new TypeError("the node answered with no outcome that this client knows");
}

function admitRequest(request: GateRequest, validateOnly: boolean) {
  const { virtualKeyValue, virtualKeySha256, virtualKeyId, fallbacks, estimate, headers, params, tags, ...plain } =
    request;
  const lists = { fallbacks: [...(fallbacks ?? [])], tags: [...(tags ?? [])] };
  const message = create(AdmitRequestSchema, { ...plain, ...lists, validateOnly });
  Object.assign(message.headers, headers);
  Object.assign(message.params, params);
  if (estimate) message.estimate = create(EstimateSchema, counts(estimate));
  if (virtualKeyId !== undefined) message.credential = { case: "virtualKeyId", value: virtualKeyId };
  if (virtualKeySha256 !== undefined) message.credential = { case: "virtualKeySha256", value: virtualKeySha256 };
  if (virtualKeyValue !== undefined) message.credential = { case: "virtualKeyValue", value: virtualKeyValue };
  return message;
}

/** The same with every number as protobuf wants its 64-bit fields. */
function counts<T extends object>(given: T): { [K in keyof T]: T[K] extends Count | undefined ? bigint : T[K] } {
  const exact = Object.entries(given).map(([name, value]) => [name, typeof value === "number" ? BigInt(value) : value]);
  return Object.fromEntries(exact);
}
