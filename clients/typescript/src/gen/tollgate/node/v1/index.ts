// Everything of the package. Made by scripts/generate.sh.
export * from "./gate_service_pb.js";
export * from "./node_status_service_pb.js";
