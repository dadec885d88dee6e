import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";
import { ErrorReason, ErrorReasonSchema } from "./gen/tollgate/v1/error_reason_pb.js";

/** One fault of a request, or one thing that a request relies on and that is not so. */
export interface Violation {
  /** Path of the field as the client wrote it, or the resource in question. */
  readonly field: string;
  /** The fault, and what to do. */
  readonly description: string;
}

/** The resource that an error is about: the one that does not exist, or the one that holds a name. */
export interface ErrorResource {
  /** Its kind, as `tollgate.v1/team`. */
  readonly type: string;
  /** Its id or name. */
  readonly name: string;
}

/** A failed call of Tollgate, with all that the server says about it. */
export class TollgateError extends Error {
  override readonly name = "TollgateError";
  /** The status code of gRPC. */
  readonly code: Code;
  /** Why the call failed; `UNSPECIFIED` if no Tollgate said so, as when it cannot be reached. */
  readonly reason: ErrorReason;
  /** Every fault of the request. */
  readonly violations: readonly Violation[];
  /** The resource that the error is about. */
  readonly resource: ErrorResource | undefined;
  /** Facts that belong to the reason, by name: `expected` and `actual` of `REVISION_MISMATCH`, for example. */
  readonly facts: Readonly<Record<string, string>>;
  /** After how many milliseconds to try again; undefined if waiting does not help. */
  readonly retryAfterMs: number | undefined;
  /** The id by which the server's log names the call; empty if it was not answered. */
  readonly callId: string;

  /** Reads what the server said from the error of the transport. */
  constructor(cause: ConnectError) {
    super(cause.message, { cause });
    const detail = <D extends DescMessage>(schema: D): MessageShape<D> | undefined => cause.findDetails(schema)[0];
    const info = detail(ErrorInfoSchema);
    const resource = detail(ResourceInfoSchema);
    const delay = detail(RetryInfoSchema)?.retryDelay;
    const reason = ErrorReasonSchema.values.find((value) => value.name === info?.reason);
    this.code = cause.code;
    this.reason = reason?.number ?? ErrorReason.UNSPECIFIED;
    this.facts = info?.metadata ?? {};
    this.violations = [
      ...(detail(BadRequestSchema)?.fieldViolations ?? []).map(({ field, description }) => ({ field, description })),
      ...(detail(PreconditionFailureSchema)?.violations ?? []).map(({ subject, description }) => ({
        field: subject,
        description,
      })),
    ];
    this.resource = resource && { type: resource.resourceType, name: resource.resourceName };
    this.retryAfterMs = delay && durationMs(delay);
    this.callId = cause.metadata.get("x-request-id") ?? "";
  }

  /** The error as one of this class, whatever was thrown by a call. */
  static from(error: unknown): TollgateError {
    return error instanceof TollgateError ? error : new TollgateError(ConnectError.from(error));
  }
}
