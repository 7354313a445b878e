import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { create as createTar } from "tar";
import { acknowledged, agentPrefix, startAgent } from "./testing/started-agent.js";
import { textOf, until } from "./testing/test-agent.js";
import { STDOUT, serveDispatcher, shellTask } from "./testing/test-dispatcher.js";

const bundle = fileURLToPath(new URL("../bundle.js", import.meta.url));

/** Packs files into a package. */
async function packageOf(t: TestContext, files: Record<string, string>) {
  const { prefix } = agentPrefix(t, "");
  const folder = join(prefix, "package");
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  await createTar({ file: `${folder}.tar`, cwd: folder }, ["."]);
  const bytes = readFileSync(`${folder}.tar`);
  return { bytes, digest: createHash("sha256").update(bytes).digest("hex") };
}

const hook = (name: string) => `
import os
with open(os.environ["HOWDAH_PREFIX"] + "/ran", "a") as ran: ran.write("${name}\\n")
print("${name}")
`;
const script = `
echo script >>"$HOWDAH_PREFIX/ran"
echo begun
until [ -e "$HOWDAH_PREFIX/go" ]; do sleep 0.02; done
head -c 100000 /dev/zero | tr '\\0' x; echo; echo done
`;

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  test(`an upgrade (${signal}, then the new version) while a command runs: the new agent goes on with its hooks`, async (t) => {
    const dispatcher = await serveDispatcher(t);
    const agent = startAgent(t, dispatcher.address);
    const { prefix } = agent.folders;
    const scripts = await packageOf(t, { "scripts/run.sh": script });
    const hooks = await packageOf(t, {
      "before-START/scripts/hook.py": hook("before"),
      "after-START-DB/scripts/hook.py": hook("after one"),
      "after-START/scripts/hook.py": hook("after all"),
    });
    for (const { digest, bytes } of [scripts, hooks]) dispatcher.packages.set(digest, bytes);
    const spec = {
      ...{ argv: [], script: "scripts/run.sh", scriptType: ScriptType.SHELL, serviceName: "DB" },
      ...{ packageDigest: scripts.digest, hooksDigest: hooks.digest },
    };
    const command = shellTask(1, "", {}, spec);
    if (command.case !== "executionCommand") assert.fail();
    command.value.roleCommand = RoleCommand.START;
    const session = await dispatcher.session();
    session.say(command);
    await until(() => dispatcher.stored(1, STDOUT).includes("begun"), "the script to run");

    const out = join(prefix, "new");
    execFileSync(process.execPath, [bundle, out], { stdio: "pipe" });
    await agent.end(signal);
    await until(() => session.over, "the end of the session");
    agent.start(join(out, "howdah-agent.mjs"));
    await dispatcher.session();
    assert.equal(
      textOf(join(prefix, "ran")),
      "before\nscript\n",
      "nothing ran twice, nothing ended",
    );
    writeFileSync(join(prefix, "go"), "");
    assert.equal((await dispatcher.ended(1)).event, TaskEvent.SUCCEEDED);
    await acknowledged(agent, 1);
    assert.equal(
      dispatcher.stored(1, STDOUT).toString(),
      `before\nbegun\n${"x".repeat(100_000)}\ndone\nafter one\nafter all\n\n\nCommand completed successfully!\n`,
    );
    assert.equal(textOf(join(prefix, "ran")), "before\nscript\nafter one\nafter all\n");
  });
}
