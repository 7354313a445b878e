import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { StackDefinition_Category as Category } from "@howdah/proto/howdah/v1/stack";
import { loadStack } from "./load-stack.js";
import { InheritanceCycleError, StackError } from "./stack-error.js";

const stackMeta = (parent?: string) =>
  `<metainfo>${parent === undefined ? "" : `<extends>${parent}</extends>`}</metainfo>`;
const serviceMeta = (...services: string[]) =>
  `<metainfo><services>${services.map((each) => `<service>${each}</service>`).join("")}</services></metainfo>`;
const script = (name: string, more = "") =>
  `<commandScript><script>${name}</script><scriptType>PYTHON</scriptType>${more}</commandScript>`;
const property = (name: string, value: string, more = "") =>
  `<property><name>${name}</name><value>${value}</value>${more}</property>`;
const configuration = (...properties: string[]) =>
  `<configuration>${properties.join("")}</configuration>`;

const fromFile = (name: string, value: string, file: string) =>
  property(
    name,
    value,
    `<property-type>VALUE_FROM_PROPERTY_FILE</property-type>
     <value-attributes><property-file-name>${file}</property-file-name></value-attributes>`,
  );

describe("loadStack()", () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "stacks-"));
  });
  after(() => rm(root, { recursive: true, force: true }));

  /** A tree with these files, and its folder of stacks. */
  const treeOf = async (files: Record<string, string>) => {
    const tree = await mkdtemp(join(root, "tree-"));
    for (const [path, content] of Object.entries(files)) {
      await mkdir(join(tree, path, ".."), { recursive: true });
      await writeFile(join(tree, path), content);
    }
    return tree;
  };
  const load = async (files: Record<string, string>, stack = "S/1") => {
    const tree = await treeOf(files);
    return { tree, ...(await loadStack(join(tree, "stacks", stack))) };
  };
  const failure = async (files: Record<string, string>, stack = "S/1") => {
    const tree = await treeOf(files);
    const error = await loadStack(join(tree, "stacks", stack)).then(
      () => assert.fail("it loaded"),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof StackError, String(error));
    assert.ok(!error.message.includes("\n"));
    return error.message.replace(`${tree}/`, "");
  };
  const withService = (...services: string[]) => ({
    "stacks/S/1/metainfo.xml": stackMeta(),
    "stacks/S/1/services/X/metainfo.xml": serviceMeta(...services),
  });

  it("reads services, components, scripts, commands and configuration", async () => {
    const { definition, packages } = await load({
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

  it("reads what properties name, and the values that stand in files of their own", async () => {
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
    const { definition } = await load({
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
      load({
        ...withService("<name>X</name>"),
        "stacks/S/1/services/X/configuration/x-env.xml": configuration(
          fromFile("template", "", "../../secret"),
        ),
      }),
      /x-env\.xml:\d+: property-file-name: \.\.\/\.\.\/secret must be a file of .*properties/,
    );
  });

  it("inherits from the parent stack and from common services", async () => {
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
    const { definition } = await load(files, "S/2");
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
    assert.equal(definition.hooksDigest, (await load(files, "S/1")).definition.hooksDigest);
  });

  it("reads which other configuration types a service depends on, with those that it inherits", async () => {
    const dependsOn = (...types: string[]) =>
      `<configuration-dependencies>${types.map((type) => `<config-type>${type}</config-type>`).join("")}</configuration-dependencies>`;
    const { definition } = await load({
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

  it("reads which components are started by the agents, with what they inherit", async () => {
    const components = (...ofEach: [name: string, recovery: string][]) =>
      `<components>${ofEach.map(([name, recovery]) => `<component><name>${name}</name>${recovery}</component>`).join("")}</components>`;
    const yes = "<recovery_enabled>true</recovery_enabled>";
    const no = "<recovery_enabled> False </recovery_enabled>";
    const { definition } = await load({
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

  it("merges rules: a child's key replaces, services' lists are joined, the last of equal keys counts", async () => {
    const { definition } = await load(
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

  it("names the chain of stacks that extend each other", async () => {
    const tree = await treeOf({
      "stacks/S/1/metainfo.xml": stackMeta("2"),
      "stacks/S/2/metainfo.xml": stackMeta("3"),
      "stacks/S/3/metainfo.xml": stackMeta("2"),
    });
    await assert.rejects(loadStack(join(tree, "stacks/S/1")), (error) => {
      assert.ok(error instanceof InheritanceCycleError);
      assert.deepEqual(error.chain, ["S/2", "S/3", "S/2"]);
      assert.match(error.message, /S\/2 extends S\/3 extends S\/2/);
      return true;
    });
    const common = await treeOf({
      ...withService("<name>X</name><extends>common-services/X/1</extends>"),
      "common-services/X/1/metainfo.xml": serviceMeta(
        "<name>X</name><extends>common-services/X/1</extends>",
      ),
    });
    await assert.rejects(loadStack(join(common, "stacks/S/1")), InheritanceCycleError);
  });

  const component = (content: string) =>
    withService(`<name>X</name>\n<components><component>${content}</component></components>`);
  const stack = { "stacks/S/1/metainfo.xml": stackMeta() };
  const metainfo = "stacks/S/1/services/X/metainfo.xml";
  const rulesFile = "stacks/S/1/role_command_order.json";
  const faults: [what: string, files: Record<string, string>, message: string | RegExp][] = [
    ["no metainfo of the stack", { "stacks/S/1/x": "" }, /^stacks\/S\/1\/metainfo.xml: is missing/],
    [
      "a parent that is not there",
      { "stacks/S/1/metainfo.xml": stackMeta("0") },
      "stacks/S/0/metainfo.xml: is missing, and stack S/1 extends S/0",
    ],
    [
      "no metainfo of a service",
      { ...stack, "stacks/S/1/services/X/alerts.json": "{}" },
      `${metainfo}: is missing; every service folder needs one`,
    ],
    [
      "malformed XML",
      { ...stack, [metainfo]: "<metainfo>\n<services>\n</metainfo>" },
      new RegExp(`^${metainfo}:3: malformed XML: `),
    ],
    [
      "malformed XML of a configuration type",
      { ...withService("<name>X</name>"), "stacks/S/1/services/X/configuration/a.xml": "<a>\n<" },
      /configuration\/a.xml:2: malformed XML: /,
    ],
    ["a file without services", withService(), /metainfo.xml:1: names no service/],
    [
      "a service without a name",
      withService("<version>1</version>"),
      /:1: a service has no <name>/,
    ],
    [
      "an unknown category",
      component("<name>C</name><category>\nBOSS</category>"),
      `${metainfo}:2: component C: category BOSS is none of MASTER, SLAVE, CLIENT`,
    ],
    [
      "a bad cardinality",
      component("<name>C</name><cardinality>3-1</cardinality>"),
      `${metainfo}:2: component C: cardinality 3-1 must read N, N+, N-M (N not above M) or ALL`,
    ],
    [
      "an auto start that is neither on nor off",
      component("<name>C</name><recovery_enabled>yes</recovery_enabled>"),
      `${metainfo}:2: component C: recovery_enabled yes must be true or false`,
    ],
    [
      "a component twice",
      withService(
        "<name>X</name><components>\n<component><name>C</name></component>\n<component><name>C</name></component></components>",
      ),
      `${metainfo}:3: service X has component C twice`,
    ],
    [
      "a bad script type",
      component(`<name>C</name>${script("c.pp").replace("PYTHON", "PUPPET")}`),
      /component C: scriptType PUPPET is none of PYTHON, SHELL, EXECUTABLE/,
    ],
    [
      "a bad time-out",
      component(`<name>C</name>${script("c.py", "<timeout>5m</timeout>")}`),
      /component C: timeout 5m must be a whole number of seconds/,
    ],
    [
      "a service in two folders",
      {
        ...withService("<name>X</name>"),
        "stacks/S/1/services/Y/metainfo.xml": serviceMeta("<name>X</name>"),
      },
      /services\/Y\/metainfo.xml:1: service X is in .*services\/X\/metainfo.xml already/,
    ],
    [
      "a common service that is not there",
      withService("<name>X</name><extends>common-services/X/7</extends>"),
      /:1: service X extends common-services\/X\/7, which is not below /,
    ],
    [
      "an odd parent of a service",
      withService("<name>X</name><extends>S/0/X</extends>"),
      /:1: service X extends S\/0\/X, which must read common-services\/NAME\/VERSION/,
    ],
    [
      "malformed JSON",
      { ...stack, [rulesFile]: '{\n"general_deps": {\n"A-START": ["B-START"],\n}\n}' },
      `${rulesFile}:4: malformed JSON: expected a key in double quotes instead of }`,
    ],
    [
      "a rule with an unknown verb",
      { ...stack, [rulesFile]: '{"general_deps": {\n"A-BEGIN": ["B-START"]}}' },
      `${rulesFile}:2: A-BEGIN must read ROLE-COMMAND or ROLE-COMMAND-OVERRIDE`,
    ],
    [
      "a rule with an odd blocker",
      { ...stack, [rulesFile]: '{"general_deps": {\n"A-START": ["B"]}}' },
      `${rulesFile}:2: A-START waits for "B", which must read ROLE-COMMAND`,
    ],
    [
      "a rule that is no list",
      { ...stack, [rulesFile]: '{"general_deps": {\n"A-START": "B-START"}}' },
      `${rulesFile}:2: A-START must have a list of ROLE-COMMAND`,
    ],
    [
      "a section that is no object",
      { ...stack, [rulesFile]: '{"general_deps": []}' },
      `${rulesFile}:1: section general_deps must be an object`,
    ],
  ];
  for (const [what, files, message] of faults) {
    it(`names the file and what is wrong: ${what}`, async () => {
      const got = await failure(files);
      if (typeof message === "string") assert.equal(got, message);
      else assert.match(got, message);
    });
  }

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
