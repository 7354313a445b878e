import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Fleet, over, pushStack, startFleet, tasksOf, until } from "./fleet.js";

const metainfo = `<metainfo>
  <schemaVersion>2.0</schemaVersion>
  <services>
    <service>
      <name>SLOW</name>
      <version>1.0</version>
      <components>
        <component>
          <name>MOVER</name>
          <category>SLAVE</category>
          <cardinality>1+</cardinality>
          <commandScript>
            <script>scripts/mover.sh</script>
            <scriptType>SHELL</scriptType>
            <timeout>60</timeout>
          </commandScript>
          <customCommands>
            <customCommand>
              <name>BALANCE</name>
              <background>true</background>
              <commandScript>
                <script>scripts/mover.sh</script>
                <scriptType>SHELL</scriptType>
                <timeout>60</timeout>
              </commandScript>
            </customCommand>
          </customCommands>
        </component>
      </components>
    </service>
  </services>
</metainfo>
`;

/** Waits until the file `go` is there. */
const script = `
until [ -e "$HOWDAH_PREFIX/go" ]; do sleep 0.05; done
`;

function writeStack(dir: string): string {
  const stack = join(dir, "stacks", "SLOW", "1.0");
  const service = join(stack, "services", "SLOW");
  mkdirSync(join(service, "package", "scripts"), { recursive: true });
  writeFileSync(
    join(stack, "metainfo.xml"),
    "<metainfo><versions><active>true</active></versions></metainfo>",
  );
  writeFileSync(join(service, "metainfo.xml"), metainfo);
  writeFileSync(join(service, "package", "scripts", "mover.sh"), script);
  return stack;
}

describe("a background command", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 1 });
    await pushStack(fleet, writeStack(fleet.dir));
    const services = [{ name: "SLOW", components: [{ name: "MOVER", hostNames: ["host1"] }] }];
    await fleet.fleet.applyCluster({ name: "slow", stack: "SLOW/1.0", services });
  });
  after(() => fleet?.stop());

  it("runs beside what its host does in order, which waits for it no more than it for that", async () => {
    const go = join(fleet.prefix("host1"), "go");
    const run = async (line: string) => {
      const { request } = await fleet.requests.submitRequest({
        operation: {
          kind: { case: "adHoc", value: { argv: [line], hosts: { names: ["host1"] } } },
        },
      });
      return request?.requestId ?? 0n;
    };
    const starts = async (requestId: bigint) => {
      await until(`request ${requestId} to run`, async () => {
        const [task] = await tasksOf(fleet, requestId);
        return task?.status === Status.IN_PROGRESS;
      });
    };
    const before = await run(`until [ -e ${go}.first ]; do sleep 0.05; done`);
    await starts(before);
    const { request } = await fleet.requests.submitRequest({
      operation: {
        kind: { case: "customCommand", value: { component: "MOVER", command: "BALANCE" } },
      },
    });
    const background = request?.requestId ?? 0n;
    await starts(background);
    writeFileSync(`${go}.first`, "");
    assert.equal(Status[(await over(fleet, before)).status], "COMPLETED");
    const behind = await run("true");
    assert.equal(Status[(await over(fleet, behind)).status], "COMPLETED");
    assert.equal(Status[(await tasksOf(fleet, background))[0]?.status ?? 0], "IN_PROGRESS");
    writeFileSync(go, "");
    assert.equal(Status[(await over(fleet, background)).status], "COMPLETED");
  });
});
