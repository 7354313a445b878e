import { Worker } from "bullmq";

/** BullMQ's worker as a process of its own, whose jobs do nothing. Ends with its parent. */
const [name = "", port = "", concurrency = ""] = process.argv.slice(2);
const worker = new Worker(name, async () => undefined, {
  connection: { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null },
  concurrency: Number(concurrency),
});
worker.on("error", (error) => process.stderr.write(`${error.message}\n`));
await worker.waitUntilReady();
process.send?.("ready");
process.on("disconnect", () => process.exit(0));
