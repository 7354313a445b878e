import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { agentFolders, createFolders } from "./folders.js";
import { installScripts, installSupervisor } from "./run/install-supervisor.js";
import { acknowledged, startAgentWith } from "./testing/started-agent.js";
import { until } from "./testing/test-agent.js";
import { serveDispatcher, shellTask } from "./testing/test-dispatcher.js";

/** A prefix that is a file system of its own, with an ini file; undefined where that is not allowed. */
function mountedPrefix(t: TestContext, address: string) {
  const prefix = mkdtempSync(join(tmpdir(), "howdah-full-"));
  const mount = spawnSync("mount", ["-t", "tmpfs", "-o", "size=16m", "howdah-test", prefix]);
  t.after(() => {
    spawnSync("umount", ["-l", prefix]);
    rmSync(prefix, { recursive: true, force: true });
  });
  if (mount.status !== 0) return undefined;
  mkdirSync(join(prefix, "conf"));
  const iniFile = join(prefix, "conf", "howdah-agent.ini");
  writeFileSync(
    iniFile,
    `[server]\naddress = ${address}\n[agent]\nhostname = h\nprefix = ${prefix}\n`,
  );
  const fill = () => {
    spawnSync("dd", ["if=/dev/zero", `of=${join(prefix, "filler")}`, "bs=64k"]);
    assert.throws(() => writeFileSync(join(prefix, "more"), "x"), { code: "ENOSPC" });
  };
  return { prefix, iniFile, fill };
}

test("a disk that is full at a start: the agent starts all the same, and the result of what ran is acknowledged", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const made = mountedPrefix(t, dispatcher.address);
  if (made === undefined) return t.skip("only root can mount a file system");
  const agent = startAgentWith(t, made.iniFile);
  const go = join(made.prefix, "tmp", "go");
  (await dispatcher.session()).say(shellTask(1, `until [ -e ${go} ]; do sleep 0.05; done; exit 5`));
  await until(() => agent.entry(1)?.state === "RUNNING", "the command");
  await until(() => dispatcher.reports.length > 0, "the report of its start");
  made.fill();
  await agent.end("SIGKILL");
  writeFileSync(go, "");
  agent.start();
  assert.equal((await dispatcher.ended(1)).exitCode, 5);
  await acknowledged(agent, 1);
  assert.deepEqual(readdirSync(join(made.prefix, "lib")).sort(), [
    ...["alert-script.py", "supervisor.sh"],
  ]);
});

test("other scripts on a full disk: nothing half-written is left, and they are installed when there is room", async (t) => {
  const made = mountedPrefix(t, "127.0.0.1:1");
  if (made === undefined) return t.skip("only root can mount a file system");
  const folders = agentFolders(made.prefix);
  createFolders(folders);
  writeFileSync(folders.supervisor, "another version\n");
  made.fill();
  assert.throws(() => installSupervisor(folders), { code: "ENOSPC" });
  assert.deepEqual(readdirSync(folders.lib), ["supervisor.sh"]);
  const cleaning = Promise.resolve().then(() => rmSync(join(made.prefix, "filler")));
  await installScripts(folders, cleaning);
  assert.match(readFileSync(folders.supervisor, "utf8"), /^#!/);
  assert.equal(statSync(folders.supervisor).mode & 0o777, 0o755);
});
