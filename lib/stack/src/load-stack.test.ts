import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { StackDefinition_Category as Category } from "@howdah/proto/howdah/v1/stack";
import { loadStack } from "./load-stack.js";
import {
  configuration,
  loadTree,
  property,
  script,
  serviceMeta,
  stackMeta,
  withService,
} from "./testing/stack-files.js";

const fromFile = (name: string, value: string, file: string) =>
  property(
    name,
    value,
    `<property-type>VALUE_FROM_PROPERTY_FILE</property-type>
     <value-attributes><property-file-name>${file}</property-file-name></value-attributes>`,
  );

describe("loadStack()", () => {
  it("reads services, components, scripts, commands and configuration", async (t) => {
    const { definition, packages } = await loadTree(t, {
      ...withService(
        `<name>X</name><displayName>The X</displayName><version>1.2</version>
         <comment>Does
           x.</comment>
         <components><component><name>X_SERVER</name><displayName>Server</displayName>
           <category>MASTER</category><cardinality><!-- one or two --> 1-2</cardinality>
           ${script("scripts/server.py", "<timeout>600</timeout>")}
           <customCommands><customCommand><name>TIDY</name>
             ${script("scripts/tidy.py", "<timeout>60</timeout>")}
             <background>true</background><hidden>true</hidden></customCommand>
           </customCommands></component>
           <component><name>X_CLIENT</name><category>CLIENT</category></component></components>
         ${script("scripts/check.py")}
         <requiredServices><service>Z</service></requiredServices>`,
        "<name>Y</name><configuration-dir>configuration-y</configuration-dir>",
      ),
      "stacks/S/1/services/X/configuration/x-site.xml": configuration(
        property("key", " as is ", "<description> What it is. </description><final>true</final>"),
        property("password", "", "<property-type>USER PASSWORD</property-type>"),
        property("depends", "1", "<depends-on><property><name>no</name></property></depends-on>"),
      ),
      "stacks/S/1/services/X/configuration-y/y-env.xml": configuration(property("y", "1")),
      "stacks/S/1/services/X/package/scripts/server.py": "pass",
      "stacks/S/1/configuration/cluster-env.xml": configuration(property("user", "root")),
      "stacks/S/1/hooks/before-START/scripts/hook.py": "pass",
    });
    assert.deepEqual([definition.name, definition.version], ["S", "1"]);
    const [x, y] = definition.services;
    assert.equal(x?.displayName, "The X");
    assert.equal(x?.comment, "Does x.");
    assert.deepEqual(x?.requiredServices, ["Z"]);
    assert.equal(x?.serviceCheck?.script, "scripts/check.py");
    assert.equal(x?.packageFolder, "stacks/S/1/services/X/package");
    const [server, client] = x?.components ?? [];
    assert.equal(server?.category, Category.MASTER);
    assert.equal(server?.cardinality, "1-2");
    assert.equal(server?.commandScript?.scriptType, ScriptType.PYTHON);
    assert.equal(server?.commandScript?.timeoutSeconds, 600);
    const [tidy] = server?.customCommands ?? [];
    assert.deepEqual(
      [tidy?.name, tidy?.background, tidy?.hidden, tidy?.commandScript?.timeoutSeconds],
      ["TIDY", true, true, 60],
    );
    assert.deepEqual(
      [client?.category, client?.cardinality, client?.commandScript],
      [Category.CLIENT, "0+", undefined],
    );
    assert.deepEqual(
      x?.configurationTypes.map(({ name, properties }) => [
        name,
        properties.map(({ name, value, description, secret, final }) => ({
          name,
          value,
          description,
          secret,
          final,
        })),
      ]),
      [
        [
          "x-site",
          [
            {
              name: "key",
              value: " as is ",
              description: "What it is.",
              secret: false,
              final: true,
            },
            { name: "password", value: "", description: "", secret: true, final: false },
            { name: "depends", value: "1", description: "", secret: false, final: false },
          ],
        ],
      ],
    );
    assert.equal(y?.serviceCheck, undefined);
    assert.deepEqual(
      y?.configurationTypes.map(({ name }) => name),
      ["y-env"],
    );
    assert.equal(definition.configurationTypes[0]?.name, "cluster-env");
    assert.deepEqual(
      packages.map(({ digest }) => digest).sort(),
      [definition.hooksDigest, x?.packageDigest].sort(),
    );
  });

  it("reads what properties name, and the values that stand in files of their own", async (t) => {
    const env = [
      property(
        "x_user",
        "x",
        `<property-type>USER</property-type><value-attributes><user-groups>
          <property><type>cluster-env</type><name>user_group</name></property>
        </user-groups></value-attributes>`,
      ),
      fromFile("template", "old", "x.j2"),
      fromFile("absent", "as it stands", "y.j2"),
    ];
    const { definition } = await loadTree(t, {
      ...withService("<name>X</name>"),
      "stacks/S/1/configuration/cluster-env.xml": configuration(
        fromFile("stack_tools", "", "stack_tools.json"),
      ),
      "stacks/S/1/properties/stack_tools.json": '{ "S": {} }\n',
      "stacks/S/1/services/X/configuration/x-env.xml": configuration(...env),
      "stacks/S/1/services/X/properties/x.j2": " {{x}} \n",
    });
    const [tools] = definition.configurationTypes[0]?.properties ?? [];
    assert.equal(tools?.value, '{ "S": {} }\n');
    const [user, template, absent] =
      definition.services[0]?.configurationTypes[0]?.properties ?? [];
    assert.deepEqual(user?.types, ["USER"]);
    assert.deepEqual(
      user?.userGroups.map(({ type, name }) => [type, name]),
      [["cluster-env", "user_group"]],
    );
    assert.deepEqual([template?.value, absent?.value], [" {{x}} \n", "as it stands"]);
    await assert.rejects(
      loadTree(t, {
        ...withService("<name>X</name>"),
        "stacks/S/1/services/X/configuration/x-env.xml": configuration(
          fromFile("template", "", "../../secret"),
        ),
      }),
      /x-env\.xml:\d+: property-file-name: \.\.\/\.\.\/secret must be a file of .*properties/,
    );
  });

  it("inherits from the parent stack and from common services", async (t) => {
    const files = {
      "stacks/S/1/metainfo.xml": stackMeta(),
      "stacks/S/1/hooks/h.py": "pass",
      "stacks/S/1/configuration/cluster-env.xml": configuration(
        property("a", "1"),
        property("b", "1"),
        property("c", "1"),
      ),
      "stacks/S/1/services/GONE/metainfo.xml": serviceMeta("<name>GONE</name>"),
      "stacks/S/1/services/KEPT/metainfo.xml": serviceMeta(
        `<name>KEPT</name><comment>from the parent</comment><components>
         <component><name>K</name><category>MASTER</category>${script("k1.py")}</component>
         <component><name>OLD</name><category>SLAVE</category></component></components>`,
      ),
      "stacks/S/1/services/KEPT/package/k.py": "pass",
      "stacks/S/2/metainfo.xml": stackMeta("1"),
      "stacks/S/2/configuration/cluster-env.xml": configuration(
        property("b", "2"),
        property("c", "", "<deleted>true</deleted>"),
      ),
      "stacks/S/2/services/GONE/metainfo.xml": serviceMeta(
        "<name>GONE</name><deleted>true</deleted>",
      ),
      "stacks/S/2/services/KEPT/metainfo.xml": serviceMeta(
        `<name>KEPT</name><version>2</version><components>
         <component><name>K</name>${script("k2.py")}</component>
         <component><name>OLD</name><deleted>true</deleted></component>
         <component><name>NEW</name></component></components>`,
      ),
      "stacks/S/2/services/C/metainfo.xml": serviceMeta(
        `<name>C</name><extends>common-services/C/2</extends>
         <excluded-config-types><config-type>c-old</config-type></excluded-config-types>`,
        "<name>D</name><extends>common-services/D/9</extends>",
      ),
      "common-services/C/1/metainfo.xml": serviceMeta(
        `<name>C</name><components><component><name>C1</name></component></components>`,
      ),
      "common-services/C/1/configuration/c-old.xml": configuration(property("a", "1")),
      "common-services/C/1/package/c.py": "pass",
      "common-services/C/2/metainfo.xml": serviceMeta(
        `<name>C</name><extends>common-services/C/1</extends><version>2</version>`,
        `<name>D</name><version>9</version><comment>beside C</comment>`,
      ),
    };
    const { definition } = await loadTree(t, files, "S/2");
    const named = new Map(definition.services.map((service) => [service.name, service]));
    assert.deepEqual([...named.keys()], ["C", "D", "KEPT"]);
    const kept = named.get("KEPT");
    assert.deepEqual([kept?.version, kept?.comment], ["2", "from the parent"]);
    assert.equal(kept?.packageFolder, "stacks/S/1/services/KEPT/package");
    assert.deepEqual(
      kept?.components.map((each) => [each.name, each.category, each.commandScript?.script]),
      [
        ["K", Category.MASTER, "k2.py"],
        ["NEW", Category.UNSPECIFIED, undefined],
      ],
    );
    const common = named.get("C");
    assert.equal(common?.components[0]?.name, "C1");
    assert.deepEqual(common?.configurationTypes, []);
    assert.equal(common?.packageFolder, "common-services/C/1/package");
    assert.equal(named.get("D")?.comment, "beside C");
    assert.deepEqual(
      definition.configurationTypes[0]?.properties.map(({ name, value }) => [name, value]),
      [
        ["a", "1"],
        ["b", "2"],
      ],
    );
    assert.equal(definition.hooksDigest, (await loadTree(t, files, "S/1")).definition.hooksDigest);
  });

  it("reads which other configuration types a service depends on, with those that it inherits", async (t) => {
    const dependsOn = (...types: string[]) =>
      `<configuration-dependencies>${types.map((type) => `<config-type>${type}</config-type>`).join("")}</configuration-dependencies>`;
    const { definition } = await loadTree(t, {
      "stacks/S/1/metainfo.xml": stackMeta(),
      "stacks/S/1/services/X/metainfo.xml": serviceMeta(
        `<name>X</name><extends>common-services/X/1</extends>${dependsOn("x-env", "cluster-env", "far")}`,
      ),
      "stacks/S/1/services/X/configuration/x-env.xml": configuration(property("a", "1")),
      "common-services/X/1/metainfo.xml": serviceMeta(
        `<name>X</name>${dependsOn("core-site", "far")}`,
      ),
    });
    const [x] = definition.services;
    assert.deepEqual(x?.configurationDependencies, ["cluster-env", "core-site", "far"]);
  });

  it("reads which components are started by the agents, with what they inherit", async (t) => {
    const components = (...ofEach: [name: string, recovery: string][]) =>
      `<components>${ofEach.map(([name, recovery]) => `<component><name>${name}</name>${recovery}</component>`).join("")}</components>`;
    const yes = "<recovery_enabled>true</recovery_enabled>";
    const no = "<recovery_enabled> False </recovery_enabled>";
    const { definition } = await loadTree(t, {
      "stacks/S/1/metainfo.xml": stackMeta(),
      "stacks/S/1/services/X/metainfo.xml": serviceMeta(
        `<name>X</name><extends>common-services/X/1</extends>${components(["A", ""], ["B", no], ["C", yes], ["D", ""])}`,
      ),
      "common-services/X/1/metainfo.xml": serviceMeta(
        `<name>X</name>${components(["A", yes], ["B", yes], ["C", ""], ["D", ""])}`,
      ),
    });
    assert.deepEqual(
      definition.services[0]?.components.map(({ name, recoveryEnabled }) => [
        name,
        recoveryEnabled,
      ]),
      [
        ["A", true],
        ["B", false],
        ["C", true],
        ["D", false],
      ],
    );
  });

  it("merges rules: a child's key replaces, services' lists are joined, the last of equal keys counts", async (t) => {
    const { definition } = await loadTree(
      t,
      {
        "stacks/S/1/metainfo.xml": stackMeta(),
        "stacks/S/1/role_command_order.json": `{"_comment": "a", "_comment": "b", "general_deps": {
          "A-START": ["P-START"], "B-START": ["P-START"], "B-START": ["Q-START"]}, "else": 3}`,
        "stacks/S/1/services/X/metainfo.xml": serviceMeta("<name>X</name>"),
        "stacks/S/1/services/X/role_command_order.json": `{"general_deps": {"_comment": "c",
          "A-START-OVERRIDE": ["O-START"], "A-START": ["X-START", "R-START"]}}`,
        "stacks/S/2/metainfo.xml": stackMeta("1"),
        "stacks/S/2/role_command_order.json": `{"general_deps": {"A-START": ["R-START"]},
          "namenode_optional_ha": {"A-START": ["J-START"]}}`,
      },
      "S/2",
    );
    assert.deepEqual(
      definition.roleCommandOrder.map(({ name, rules }) => [
        name,
        rules.map(({ blocked, blockers }) => [blocked, blockers]),
      ]),
      [
        [
          "general_deps",
          [
            ["A-START", ["R-START", "X-START"]],
            ["B-START", ["Q-START"]],
            ["A-START-OVERRIDE", ["O-START"]],
          ],
        ],
        ["namenode_optional_ha", [["A-START", ["J-START"]]]],
      ],
    );
  });

  const repository = join(import.meta.dirname, "../../..");
  for (const [name, folder] of [
    ["the stack that ships", join(repository, "stacks/HOWDAH/1.0")],
    ["BIGTOP", join(repository, "../shared/data/ambari/stacks/BIGTOP/3.2.0")],
  ] as const) {
    it(`reads ${name}`, { skip: existsSync(folder) ? false : "skipped: no data" }, async () => {
      const { definition } = await loadStack(folder);
      assert.ok(definition.services.length > 0);
      for (const service of definition.services) {
        assert.ok(service.components.length > 0);
        for (const { commandScript } of service.components) assert.ok(commandScript);
      }
    });
  }
});
