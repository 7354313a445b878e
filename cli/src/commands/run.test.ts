import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import type { TaskSchema } from "@howdah/proto/howdah/v1/request";
import type { SubmitRequestRequest } from "@howdah/proto/howdah/v1/request_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { cli, type FakeServices, fakeServer } from "../cli-fixture.js";

type Task = MessageInitShape<typeof TaskSchema>;

const times = { startedAt: { seconds: 100n }, endedAt: { seconds: 101n } };
const bytes = (text: string) => new TextEncoder().encode(text);

/** A fleet on which each task writes what the test says. */
function services(tasks: Task[], stdout: (taskId: bigint) => string, stderr = (_: bigint) => "") {
  const seen: SubmitRequestRequest[] = [];
  const failed = tasks.filter(({ status }) => status === Status.FAILED).length;
  const request = {
    requestId: 5n,
    status: failed > 0 ? Status.FAILED : Status.COMPLETED,
    progressPercent: 100,
    counts: { total: tasks.length, completed: tasks.length - failed, failed },
    times,
  };
  const fake: FakeServices = {
    requests: {
      submitRequest(message) {
        seen.push(message);
        return { request: { requestId: 5n } };
      },
    },
    store: {
      async *watchRequest() {
        const half = Math.ceil(tasks.length / 2);
        const running = tasks.map((task) => ({ ...task, status: Status.IN_PROGRESS }));
        yield { request: { requestId: 5n, progressPercent: 1 }, tasks: running };
        yield { request: { requestId: 5n, progressPercent: 50 }, tasks: tasks.slice(0, half) };
        // After a restart of the server it tells all again.
        yield { request, tasks };
      },
      async *readTaskOutput({ taskId, stream }) {
        const text = stream === OutputStream.STDERR ? stderr(taskId) : stdout(taskId);
        yield { data: bytes(text), complete: true };
      },
    },
  };
  return { fake, seen };
}

const done = (id: number): Task => ({
  taskId: BigInt(id),
  hostName: `host${id}`,
  status: Status.COMPLETED,
  attempt: 1,
  exitCode: 0,
  times,
});

describe("howdah run", () => {
  it("prints what each host wrote behind its name, and a summary", async (t) => {
    const { fake, seen } = services([done(1), done(2)], (id) => `up ${id} days\nload 0\n`);
    const server = await fakeServer(t, fake);
    const line = ["run", "--hosts", "host[1-2]", "--timeout", "30s", "--", "uptime", "--pretty"];
    const result = await cli(line, { server });
    assert.deepEqual(result, {
      exitCode: 0,
      err: "",
      out: `host1 | up 1 days
host1 | load 0
host2 | up 2 days
host2 | load 0
Request 5 COMPLETED: 2 completed, 1.0 s
`,
    });
    assert.ok(seen[0]?.operation?.kind.case === "adHoc");
    const { argv, hosts, timeout } = seen[0].operation.kind.value;
    assert.deepEqual(argv, ["uptime", "--pretty"]);
    assert.deepEqual(hosts?.names, ["host[1-2]"]);
    assert.equal(timeout?.seconds, 30n);
    assert.equal(seen[0].options?.onFailure, OnFailure.CONTINUE);
  });

  it("tells failures with their exit code and standard error, and exits with 1", async (t) => {
    const failed = { ...done(2), status: Status.FAILED, exitCode: 127 };
    const { fake } = services(
      [done(1), failed],
      () => "",
      (id) => (id === 2n ? "foo: not found\n" : ""),
    );
    const { exitCode, out, err } = await cli(["run", "--hosts", "*", "foo"], {
      server: await fakeServer(t, fake),
    });
    assert.equal(exitCode, 1);
    assert.equal(err, "host2 ! foo: not found\n");
    assert.equal(
      out,
      `host1: COMPLETED, 1.0 s
host2: FAILED, exit code 127, 1.0 s
Request 5 FAILED: 1 completed, 1 failed, 1.0 s
howdah retry 5 runs again what is not done
`,
    );
  });

  it("never prints a thousand lines unless asked to", async (t) => {
    const tasks = Array.from({ length: 300 }, (_, n) => done(n + 1));
    const { fake } = services(tasks, () => "line\n".repeat(200));
    const server = await fakeServer(t, fake);
    const { out } = await cli(["run", "--hosts", "*", "--", "noise"], { server });
    const lines = out.split("\n");
    assert.ok(lines.length < 600, `${lines.length} lines`);
    assert.match(out, /host1: 150 lines not shown; howdah logs 1\n/);
    assert.match(out, /\d+ more hosts not shown: --all, or howdah tasks 5\n/);
    const all = await cli(["run", "--hosts", "*", "--all", "--", "noise"], { server });
    assert.equal(all.out.split("\n").length, 300 * 200 + 2);
  });

  it("answers programs with a line of JSON for each host, and one for the request", async (t) => {
    const { fake } = services([done(1)], () => "ü\n");
    const { out } = await cli(["run", "--hosts", "*", "--output", "json", "--", "x"], {
      server: await fakeServer(t, fake),
    });
    const [task, request, ...rest] = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(task.task.hostName, "host1");
    assert.equal(task.stdout, "ü\n");
    assert.equal(request.request.requestId, "5");
    assert.deepEqual(rest, []);
  });

  it("keeps a line of progress below the output on a terminal", async (t) => {
    const { fake } = services([done(1)], () => "hello\n");
    const { out } = await cli(["run", "--hosts", "*", "--", "x"], {
      server: await fakeServer(t, fake),
      terminal: true,
    });
    assert.match(out, /Request 5 {2}█/);
    assert.ok(
      out.endsWith("\u001b[JRequest 5 COMPLETED: 1 completed, 1.0 s\n"),
      JSON.stringify(out),
    );
    assert.match(out, /host1 \| hello\n/);
  });
});
