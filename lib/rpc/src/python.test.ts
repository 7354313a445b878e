import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { serveEcho, until } from "./echo-fixture.js";

const python = "/usr/bin/python3";
const probe = spawnSync(python, ["-c", "import grpc"], { encoding: "utf8" });
const skip = probe.status === 0 ? false : `${python} has no module grpc (Debian: python3-grpcio)`;

/** Messages are written by hand: field 1 is a string everywhere, field 2 a number. */
const program = String.raw`
import sys, grpc
channel = grpc.insecure_channel(sys.argv[1])
same = lambda b: b
def message(text, number=0):
    data = text.encode()
    return b"\x0a" + bytes([len(data)]) + data + (b"\x10" + bytes([number]) if number else b"")
def text(data):
    return data[2:2 + data[1]].decode() if data[:1] == b"\x0a" else ""
service = "/howdah.rpc.test.v1.EchoService/"
echo = channel.unary_unary(service + "Echo", same, same)
FAIL, HANG = 1, 3

answer, call = echo.with_call(message("hello"), timeout=5)
assert text(answer) == "hello", answer
assert ("x-header", "hello") in call.initial_metadata(), call.initial_metadata()
assert ("x-trailer", "hello") in call.trailing_metadata(), call.trailing_metadata()

repeat = channel.unary_stream(service + "Repeat", same, same)
assert [text(m) for m in repeat(message("r", 3), timeout=5)] == ["r", "r", "r"]
collect = channel.stream_unary(service + "Collect", same, same)
assert text(collect(iter([message("a"), message("b")]), timeout=5)) == "a b"
converse = channel.stream_stream(service + "Converse", same, same)
assert [text(m) for m in converse(iter([message("1"), message("2")]), timeout=5)] == ["1", "2"]

def fails(request, code, **options):
    try:
        echo(request, **options)
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error
    raise AssertionError("should have failed")
error = fails(message("x", FAIL), grpc.StatusCode.FAILED_PRECONDITION, timeout=5)
assert error.details() == "asked to fail: 100% sure, ü", error.details()
assert "grpc-status-details-bin" in dict(error.trailing_metadata())
assert "x-secret" not in dict(error.trailing_metadata())
fails(message("x", HANG), grpc.StatusCode.DEADLINE_EXCEEDED, timeout=0.2)

endless = repeat(message("e"))
next(endless)
endless.cancel()

health = channel.unary_unary("/grpc.health.v1.Health/Check", same, same)
assert health(message("howdah.rpc.test.v1.EchoService"), timeout=5) == b"\x08\x01"
print("all well")
`;

test("Python's grpc, our server: four kinds, errors, deadline, cancel, health", {
  skip,
}, async (t) => {
  const { address, echo } = await serveEcho(t);
  const child = spawn(python, ["-c", program, address], { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = await once(child, "close");
  assert.equal(output.trim(), "all well");
  assert.equal(code, 0);
  await until(() => echo.running() === 0, "the handler of the cancelled stream has ended");
});
