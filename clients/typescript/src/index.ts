export { Admin } from "./admin.js";
export type { CallOptions } from "./call.js";
export type { Collection, Creatable, Listing } from "./collection.js";
export { type ErrorResource, TollgateError, type Violation } from "./errors.js";
export {
  Admission,
  type Charge,
  type Count,
  type Dimensions,
  type Estimate,
  Gate,
  type GateRequest,
  Refused,
  type Target,
  type Usage,
} from "./gate.js";
export { Decision } from "./gen/tollgate/v1/decision_service_pb.js";
export { ErrorReason } from "./gen/tollgate/v1/error_reason_pb.js";
