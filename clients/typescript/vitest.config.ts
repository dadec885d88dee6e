import { defineConfig } from "vitest/config";

// The programs that the tests start may be slow to answer on a machine that has much else to do.
export default defineConfig({ test: { testTimeout: 120_000, hookTimeout: 120_000 } });
