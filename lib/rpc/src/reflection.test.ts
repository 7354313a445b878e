import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { ServerReflection } from "@howdah/proto/grpc/reflection/v1/reflection";
import { ServerReflection as ServerReflectionV1Alpha } from "@howdah/proto/grpc/reflection/v1alpha/reflection";
import { all, each, echoClient, serveEcho } from "./echo-fixture.js";

const echoService = "howdah.rpc.test.v1.EchoService";
const buf = fileURLToPath(new URL("../../../node_modules/.bin/buf", import.meta.url));
const skip = existsSync(buf) ? false : "buf is not installed (npm ci)";

for (const protocol of ["grpc-v1", "grpc-v1alpha"]) {
  test(`buf curl lists and calls with nothing but ${protocol}`, { skip }, async (t) => {
    const { address } = await serveEcho(t);
    const curl = async (...args: string[]) => {
      const options = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
      const reflect = ["--reflect-protocol", protocol];
      const { stdout } = await promisify(execFile)(buf, [...options, ...reflect, ...args]);
      return stdout;
    };
    assert.deepEqual(
      (await curl("--list-services", `http://${address}`)).trim().split("\n").sort(),
      [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        echoService,
      ],
    );
    const answer = await curl("-d", '{"text":"hi"}', `http://${address}/${echoService}/Echo`);
    assert.deepEqual(JSON.parse(answer), { text: "hi" });
    const health = await curl("-d", "{}", `http://${address}/grpc.health.v1.Health/Check`);
    assert.deepEqual(JSON.parse(health), { status: "SERVING" });
  });
}

for (const service of [ServerReflection, ServerReflectionV1Alpha]) {
  test(`${service.typeName} answers each kind of question, and says what it does not know`, async (t) => {
    const { address } = await serveEcho(t);
    const client = createClient(service, echoClient(t, address).transport);
    const ask = (messageRequest: {
      case:
        | "fileByFilename"
        | "fileContainingSymbol"
        | "allExtensionNumbersOfType"
        | "listServices";
      value: string;
    }) => ({ messageRequest });
    const answers = await all(
      client.serverReflectionInfo(
        each(
          ask({ case: "fileByFilename", value: "howdah/rpc/test/v1/echo.proto" }),
          ask({ case: "fileContainingSymbol", value: `${echoService}.Echo` }),
          ask({ case: "fileContainingSymbol", value: "howdah.rpc.test.v1.EchoRequest.text" }),
          ask({ case: "allExtensionNumbersOfType", value: "howdah.rpc.test.v1.EchoRequest" }),
          ask({ case: "fileContainingSymbol", value: "no.such.Thing" }),
        ),
      ),
    );
    const names = answers.map(({ messageResponse }) => {
      if (messageResponse.case === "errorResponse") return messageResponse.value.errorMessage;
      if (messageResponse.case !== "fileDescriptorResponse") return messageResponse.case;
      const [first] = messageResponse.value.fileDescriptorProto;
      return first && fromBinary(FileDescriptorProtoSchema, first).name;
    });
    assert.deepEqual(names, [
      "howdah/rpc/test/v1/echo.proto",
      "howdah/rpc/test/v1/echo.proto",
      "howdah/rpc/test/v1/echo.proto",
      "allExtensionNumbersResponse",
      'there is no symbol "no.such.Thing" here',
    ]);
  });
}
