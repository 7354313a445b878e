import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type AgentFolders, agentFolders } from "@howdah/agent/folders";
import { endChild } from "../bare/child.js";
import type { Ends } from "../ends.js";

/** An agent as it is installed: the bundle, and Node. */
export interface BundledAgent {
  readonly pid: number;
  readonly folders: AgentFolders;
}

const bundler = fileURLToPath(new URL("../../../agent/bundle.js", import.meta.url));

/** Makes the bundle anew and starts it, with everything of it in a folder of its own, which is removed with it. */
export async function startBundledAgent(
  ends: Ends,
  server: string,
  settings = "",
): Promise<BundledAgent> {
  const place = mkdtempSync(join(tmpdir(), "howdah-bench-"));
  ends.after(() => rmSync(place, { recursive: true, force: true, maxRetries: 5 }));
  const program = join(place, "program");
  execFileSync(process.execPath, [bundler, program], { stdio: "pipe" });
  const prefix = join(place, "agent");
  mkdirSync(join(prefix, "conf"), { recursive: true });
  const ini = join(prefix, "conf", "howdah-agent.ini");
  const lines = ["[server]", `address = ${server}`, "[agent]", "hostname = bench"];
  writeFileSync(ini, [...lines, `prefix = ${prefix}`, settings, ""].join("\n"));
  const child = spawn(join(program, "howdah-agent"), ["run", "--config", ini], {
    cwd: prefix,
    stdio: "ignore",
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin", HOME: prefix, NODE: process.execPath },
  });
  ends.after(() => endChild(child));
  await once(child, "spawn");
  return { pid: child.pid ?? 0, folders: agentFolders(prefix, {}) };
}
