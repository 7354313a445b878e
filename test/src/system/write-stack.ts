import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A component of a stack that is written for a test. */
export interface WrittenComponent {
  readonly name: string;
  /** Default SLAVE. */
  readonly category?: "MASTER" | "SLAVE" | "CLIENT";
  /** A shell script below `package/scripts`. */
  readonly script: string;
  /** Custom commands that the same script runs. */
  readonly customCommands?: readonly { readonly name: string; readonly background?: boolean }[];
}

/** Writes a stack `SERVICE/1.0` of one service below a folder, and returns the stack's own folder. */
export function writeStack(
  dir: string,
  service: string,
  components: readonly WrittenComponent[],
  /** Further files by their path below the service's folder. */
  files: Readonly<Record<string, string>>,
): string {
  const stack = join(dir, "stacks", service, "1.0");
  const folder = join(stack, "services", service);
  const write = (path: string, content: string) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  };
  write(
    join(stack, "metainfo.xml"),
    "<metainfo><versions><active>true</active></versions></metainfo>",
  );
  write(
    join(folder, "metainfo.xml"),
    `<metainfo><services><service>
  <name>${service}</name><version>1.0</version>
  <components>${components.map(componentXml).join("")}</components>
</service></services></metainfo>`,
  );
  for (const [path, content] of Object.entries(files)) write(join(folder, path), content);
  return stack;
}

function componentXml(component: WrittenComponent): string {
  const { name, category = "SLAVE", script, customCommands = [] } = component;
  const commandScript = `<commandScript><script>scripts/${script}</script><scriptType>SHELL</scriptType><timeout>60</timeout></commandScript>`;
  const custom = customCommands.map(
    (command) => `<customCommand>
      <name>${command.name}</name><background>${command.background === true}</background>${commandScript}
    </customCommand>`,
  );
  return `<component>
    <name>${name}</name><category>${category}</category><cardinality>0+</cardinality>${commandScript}
    <customCommands>${custom.join("")}</customCommands>
  </component>`;
}
