import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { AgentFolders } from "../folders.js";
import { isAlive, readProcess } from "../process-table.js";
import { silent, temporaryFolders, textOf, until } from "../testing/test-agent.js";
import { waiters } from "../testing/waiting-supervisors.js";
import { createReadySupervisor, type ReadySupervisor } from "./ready-supervisor.js";
import { runStep, type Step, type StepContext } from "./step.js";
import { forbidStart, readStepState } from "./step-records.js";

for (const shell of ["/bin/dash", "/bin/bash", "/bin/busybox"]) describeWith(shell);

function describeWith(shell: string): void {
  const missing = existsSync(shell) ? false : `${shell} is not installed`;
  describe(`a ready supervisor with ${shell}`, { skip: missing }, () => {
    let folders: AgentFolders;
    let remove: () => void;
    let ready: ReadySupervisor;
    let context: StepContext;
    let program: string;
    beforeEach(() => {
      ({ folders, remove } = temporaryFolders());
      program = shell;
      if (shell.endsWith("busybox")) {
        program = join(folders.lib, "sh");
        writeFileSync(program, `#!/bin/sh\nexec ${shell} sh "$@"\n`);
        chmodSync(program, 0o755);
      }
      ready = createReadySupervisor({
        ...{ supervisor: folders.supervisor, shell: program },
        ...{ cwd: folders.prefix, environment: common() },
      });
      context = {
        ...{ supervisor: folders.supervisor, shell: program, ready, log: silent },
        detach: new AbortController().signal,
      };
    });
    afterEach(async () => {
      await ready.close();
      remove();
    });

    let steps = 0;
    function step(argv: readonly string[], more: Partial<Step> = {}): Step {
      steps += 1;
      const stdoutPath = join(folders.data, `out-${steps}`);
      const stderrPath = join(folders.data, `err-${steps}`);
      for (const path of [stdoutPath, stderrPath]) writeFileSync(path, "", { mode: 0o600 });
      return {
        record: join(folders.steps, `${steps}.script`),
        argv,
        cwd: folders.prefix,
        environment: { ...common(), HOWDAH_TASK: `s:${steps}:1`, HOWDAH_STEP: "1.script" },
        ...{ stdoutPath, stderrPath, ...more },
      };
    }

    const common = () => ({
      PATH: process.env.PATH ?? "",
      // Names that a shell's script might have for itself, and what a shell must not take apart.
      ...{ start: "mine", code: "mine", record: "mine", line: "mine", words: "mine" },
      TEXT: "two\nlines, 'quoted' \"twice\" $HOME `id` \\ ü",
    });

    /** The pid of the one that waits; there is one soon after a step. */
    async function waiting(): Promise<number> {
      return until(() => waiters(folders)[0], "a supervisor that waits");
    }

    it("runs the next step, and another is ready for the one after", async () => {
      const first = await waiting();
      const next = step(["sh", "-c", "echo out; echo err >&2; exit 7"]);
      writeFileSync(next.stdoutPath, "before\n");
      const end = await runStep(next, context);
      assert.ok(end.kind === "exited" && end.exit.exitCode === 7);
      assert.equal(end.start.pid, first);
      assert.equal(textOf(next.stdoutPath), "before\nout\n");
      assert.equal(textOf(next.stderrPath), "err\n");
      assert.notEqual(await waiting(), first);
    });

    it("gives a step all that one of its own would", async () => {
      const look = join(folders.data, "look.sh");
      writeFileSync(
        look,
        [
          "#!/bin/sh",
          `for word; do printf '<%s>' "$word"; done`,
          "pwd; umask; ulimit -a",
          "for fd in 0 1 2 3 4 5 6 7 8 9 10 11 12; do readlink /proc/self/fd/$fd; done",
          "grep -E 'Sig(Blk|Ign)' /proc/self/status; tr '\\0' '\\n' </proc/$$/environ | grep -v HOWDAH_ | sort",
        ].join("\n"),
      );
      chmodSync(look, 0o755);
      const words = [
        "",
        "a b",
        "it's",
        '"',
        "$HOME",
        "`id`",
        "\\",
        "two\nlines\n",
        "ü€\u{1f418}",
        "*",
      ];
      const alone = step([look, ...words]);
      await runStep(alone, { ...context, ready: undefined as never });
      const pid = await waiting();
      const handed = step([look, ...words]);
      const end = await runStep(handed, context);
      assert.ok(end.kind === "exited" && end.start.pid === pid);
      const told = (one: Step) =>
        textOf(one.stdoutPath).replaceAll(one.stdoutPath, "OUT").replaceAll(one.stderrPath, "ERR");
      assert.match(told(alone), /start=mine/);
      assert.equal(told(handed), told(alone));
      assert.equal(textOf(handed.stderrPath), "");
    });

    it("gives it its own tag", async () => {
      await waiting();
      const tagged = step(["sh", "-c", "echo $HOWDAH_TASK $HOWDAH_STEP"]);
      await runStep(tagged, context);
      assert.equal(textOf(tagged.stdoutPath), `${tagged.environment.HOWDAH_TASK} 1.script\n`);
    });

    it("leads a session of its own, with nothing on its input", async () => {
      const pid = await waiting();
      const asleep = step(["sh", "-c", "readlink /proc/self/fd/0; exec sleep 60"]);
      const running = runStep(asleep, context);
      await until(() => textOf(asleep.stdoutPath).includes("\n"), "the step to run");
      assert.equal(textOf(asleep.stdoutPath), "/dev/null\n");
      assert.equal(readProcess(pid)?.session, pid);
      const state = readStepState(asleep.record);
      assert.ok(state.kind === "running" && state.start.pid === pid && isAlive(state.start));
      process.kill(-pid, "SIGTERM");
      const end = await running;
      assert.ok(end.kind === "exited" && end.exit.exitCode === 143);
    });

    it("is not used for a step whose environment or folder is another", async () => {
      const pid = await waiting();
      const other = join(folders.prefix, "other");
      mkdirSync(other);
      const elsewhere = step(["pwd"], { cwd: other });
      await runStep(elsewhere, context);
      assert.equal(textOf(elsewhere.stdoutPath), `${other}\n`);
      assert.equal(await waiting(), pid);
      const changed = step(["sh", "-c", "echo $code"], {
        environment: { ...common(), code: "changed" },
      });
      await runStep(changed, context);
      assert.equal(textOf(changed.stdoutPath), "changed\n");
      await waiting();
      const environment = { PATH: process.env.PATH ?? "", ONLY: "this" };
      const asked = step(["sh", "-c", "echo $ONLY$TEXT$HOWDAH_TASK"], { environment });
      await runStep(asked, context);
      assert.equal(textOf(asked.stdoutPath), "this\n");
    });

    it("is not used once its folder is another of the same name", async () => {
      const cwd = join(folders.prefix, "folder");
      mkdirSync(cwd);
      await ready.close();
      ready = createReadySupervisor({
        ...{ supervisor: folders.supervisor, shell: program, cwd, environment: common() },
      });
      const pid = await waiting();
      rmSync(cwd, { recursive: true });
      mkdirSync(cwd);
      writeFileSync(join(cwd, "new"), "");
      const look = step(["ls"], { cwd });
      await runStep(look, { ...context, ready });
      assert.equal(textOf(look.stdoutPath), "new\n");
      await until(() => readProcess(pid) === undefined, "the one that waited there to end");
      const again = await waiting();
      const next = await runStep(step(["true"], { cwd }), { ...context, ready });
      assert.ok(next.kind === "exited" && next.start.pid === again);
    });

    it("runs a step by one of its own when the one that waited was killed", async () => {
      const pid = await waiting();
      process.kill(pid, "SIGSTOP"); // so that it takes the line, and does not read it
      const next = step(["echo", "ran"]);
      const running = runStep(next, context);
      process.kill(pid, "SIGKILL");
      const end = await running;
      assert.ok(end.kind === "exited" && end.exit.exitCode === 0);
      assert.equal(textOf(next.stdoutPath), "ran\n");
    });

    it("runs a step by one of its own when that has too much to say for a line", async () => {
      const pid = await waiting();
      const long = step(["sh", "-c", `echo ${"x".repeat(10_000)}`]);
      const end = await runStep(long, context);
      assert.ok(end.kind === "exited" && end.start.pid !== pid);
      assert.equal(textOf(long.stdoutPath).length, 10_001);
    });

    it("runs nothing whose start was taken, or whose record cannot be made", async () => {
      await waiting();
      const taken = step(["touch", join(folders.data, "ran")]);
      assert.equal(forbidStart(taken.record), true);
      assert.equal(await ready.handOver(taken), 75);
      await waiting();
      const nowhere = step(["touch", join(folders.data, "ran")], {
        record: join(folders.steps, "none", "record"),
      });
      const end = await runStep(nowhere, context);
      assert.ok(end.kind === "not-started" && /is the disk full\?/.test(end.reason));
      assert.equal(existsSync(join(folders.data, "ran")), false);
    });

    it("leaves it to the agent to make the files of a step's output", async () => {
      const pid = await waiting();
      const fresh = step(["true"], { stdoutPath: join(folders.data, "fresh") });
      const end = await runStep(fresh, context);
      assert.ok(end.kind === "exited" && end.start.pid !== pid);
      assert.equal(statSync(fresh.stdoutPath).mode & 0o777, 0o600);
    });

    it("says why when a step's output cannot be opened", async () => {
      await waiting();
      const full = step(["true"], { stdoutPath: folders.data });
      const failed = await runStep(full, context);
      assert.ok(failed.kind === "not-started" && /EISDIR/.test(failed.reason));
      await waiting();
      const nowhere = step(["true"], { stdoutPath: join(folders.data, "none", "out") });
      const end = await runStep(nowhere, context);
      assert.ok(end.kind === "not-started" && /ENOENT/.test(end.reason), JSON.stringify(end));
    });

    it("ends when it is told to, and is not there again", async () => {
      const pid = await waiting();
      process.kill(pid, "SIGSTOP"); // nothing keeps it
      await ready.close();
      assert.equal(readProcess(pid), undefined);
      const end = await runStep(step(["true"]), context);
      assert.equal(end.kind, "exited");
      assert.deepEqual(waiters(folders), []);
    });
  });
}
