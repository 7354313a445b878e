import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import type { AgentFolders } from "@howdah/agent/folders";
import { dataFiles } from "@howdah/agent/run/data-files";
import { shellTask, type TestSession } from "@howdah/agent/testing/test-dispatcher";
import { CommandSpecSchema } from "@howdah/proto/howdah/v1/command";

/** How long each of them took, in ms, one after the other in turn. */
export interface StartTimes {
  /** From the dispatcher's word to the script's first instruction. */
  readonly command: number[];
  /** The same script under the agent's supervisor, spawned bare. */
  readonly supervised: number[];
  /** The same script, spawned bare. */
  readonly bare: number[];
  /** Half of the way from the dispatcher to the agent and back. */
  readonly wire: number[];
}

/** The script notes when its first instruction runs, in seconds of the wall clock. bash: the clock is built in, and needs no further process. */
const script = "#!/bin/bash\necho $EPOCHREALTIME\n";

/** Measures how long it takes until a script runs, `rounds` times each. */
export async function startTimes(
  session: TestSession,
  folders: AgentFolders,
  rounds: number,
  signal: AbortSignal,
): Promise<StartTimes> {
  const path = join(folders.tmp, "note-time.sh");
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  const times: StartTimes = { command: [], supervised: [], bare: [], wire: [] };
  for (let round = 1; round <= rounds + warmUps; round += 1) {
    signal.throwIfAborted();
    const record = join(folders.tmp, "bench.record");
    rmSync(record, { force: true });
    const command = await commandTime(session, folders, round, path);
    const supervised = await spawnTime("/bin/sh", [folders.supervisor, record, path], folders);
    const bare = await spawnTime(path, [], folders);
    const wire = await wireTime(session);
    if (round <= warmUps) continue;
    times.command.push(command);
    times.supervised.push(supervised);
    times.bare.push(bare);
    times.wire.push(wire);
  }
  return times;
}

/** Rounds before the first that counts: code that has not run yet is not compiled yet. */
const warmUps = 10;

/** The wall clock, in ms with decimals. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

async function commandTime(
  session: TestSession,
  folders: AgentFolders,
  taskId: number,
  path: string,
): Promise<number> {
  const ended = new Promise<void>((resolve, reject) => {
    session.onHeard = (message) => {
      if (message.case !== "commandReports") return;
      const end = message.value.reports.find(
        (report) => report.taskId === BigInt(taskId) && report.endedAtMs !== 0n,
      );
      if (end === undefined) return;
      const { exitCode } = end;
      if (exitCode === 0) resolve();
      else reject(new Error(`the script of task ${taskId} ended with ${exitCode}`));
    };
  });
  const command = shellTask(
    taskId,
    "",
    {},
    create(CommandSpecSchema, { argv: [path], timeoutMs: 60_000n }),
  );
  const began = nowMs();
  session.say(command);
  await ended;
  return noted(readFileSync(dataFiles(folders, String(taskId)).stdout, "utf8")) - began;
}

async function spawnTime(
  file: string,
  args: readonly string[],
  folders: AgentFolders,
): Promise<number> {
  const outPath = join(folders.tmp, "bench.out");
  const out = openSync(outPath, "w", 0o600);
  try {
    const began = nowMs();
    const child = spawn(file, args, { stdio: ["ignore", out, out], detached: true });
    const [code] = await once(child, "exit");
    const text = readFileSync(outPath, "utf8");
    if (code !== 0) throw new Error(`${file} ended with ${code}: ${text}`);
    return noted(text) - began;
  } finally {
    closeSync(out);
  }
}

function noted(text: string): number {
  const ms = Number(text) * 1_000;
  if (!(ms > 0)) throw new Error(`the script noted no time: ${JSON.stringify(text)}`);
  return ms;
}

async function wireTime(session: TestSession): Promise<number> {
  const answered = new Promise<void>((resolve) => {
    session.onHeard = (message) => {
      if (message.case === "heartbeat") resolve();
    };
  });
  const began = performance.now();
  session.say({ case: "probe", value: { $typeName: "howdah.v1.Probe" } });
  await answered;
  return (performance.now() - began) / 2;
}
