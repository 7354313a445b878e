import { availableParallelism, cpus, release, totalmem } from "node:os";

/** What the figures were taken on: one line. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  return `${availableParallelism()} cores (${model}), ${gib} GiB, Linux ${release()}, Node ${process.version}`;
}
