import { readFile } from "node:fs/promises";
import type { HostCommand } from "@howdah/scheduler/planner/plan-commands";
import type { RuleConditions, Rules } from "@howdah/scheduler/planner/rules";
import { conditionsOf } from "@howdah/scheduler/planner/rules";

/** Thrown when a file of a case does not hold what a case must hold. */
export class MalformedCaseError extends Error {
  override readonly name = "MalformedCaseError";

  constructor(file: string, problem: string) {
    super(`${file}: ${problem}`);
  }
}

/** A role and command of an expected stage, with its hosts. */
export interface ExpectedCommand {
  readonly role: string;
  readonly roleCommand: string;
  readonly customCommand: string;
  readonly hosts: readonly string[];
}

/** The error a case expects instead of a plan. */
export interface ExpectedError {
  readonly kind: string;
  readonly cycleRoles: readonly string[] | undefined;
}

/** One case, as read. */
export interface GoldenCase {
  readonly name: string;
  readonly stack: { readonly name: string; readonly version: string; readonly inline: boolean };
  readonly conditions: RuleConditions;
  readonly commands: readonly HostCommand[];
  /** A list of stages, or an error. */
  readonly expected: readonly (readonly ExpectedCommand[])[] | ExpectedError;
  readonly quirk: string | undefined;
  /** What a mended planner makes of it; only with a quirk. */
  readonly fixed: readonly (readonly ExpectedCommand[])[] | undefined;
}

/** The rules that go with a case. */
export interface GoldenRules {
  /** After merging and choosing sections, before closure; undefined when the file states none. */
  readonly merged: Rules | undefined;
  /** After closure and restart rules. */
  readonly effective: Rules | undefined;
}

/** Reads and checks one case file. */
export async function readCase(file: string, name: string): Promise<GoldenCase> {
  const at = new Checked(file, "", parse(await readFile(file, "utf8"), file));
  const stack = at.get("stack");
  const expectedError = at.get("expected_error");
  const fixed = at.get("expected_stages_if_fixed");
  return {
    name: at.get("name").isAbsent ? name : at.get("name").string(),
    stack: {
      name: stack.get("name").string(),
      version: stack.get("version").string(),
      inline: !stack.get("source").isAbsent && stack.get("source").string().startsWith("inline"),
    },
    conditions: readConditions(at),
    commands: at.get("commands").list(readCommand),
    expected: expectedError.isAbsent
      ? at.get("expected_stages").list(readStage)
      : {
          kind: expectedError.get("kind").string(),
          cycleRoles: expectedError.get("cycle_roles").isAbsent
            ? undefined
            : expectedError.get("cycle_roles").list((role) => role.string()),
        },
    quirk: at.get("ambari_quirk").isAbsent ? undefined : at.get("ambari_quirk").string(),
    fixed: fixed.isAbsent ? undefined : fixed.list(readStage),
  };
}

/** Reads the rules beside a case; undefined when there is no such file. */
export async function readRules(file: string): Promise<GoldenRules | undefined> {
  const content = await readFile(file, "utf8").catch((reason: NodeJS.ErrnoException) => {
    if (reason.code === "ENOENT") return undefined;
    throw reason;
  });
  if (content === undefined) return undefined;
  const at = new Checked(file, "", parse(content, file));
  const rules = (value: Checked): Rules | undefined =>
    value.isAbsent
      ? undefined
      : new Map(
          value
            .entries()
            .map(([blocked, blockers]) => [
              blocked,
              new Set(blockers.list((blocker) => blocker.string())),
            ]),
        );
  return { merged: rules(at.get("merged_rules")), effective: rules(at.get("effective_rules")) };
}

function parse(content: string, file: string): unknown {
  try {
    return JSON.parse(content);
  } catch (reason) {
    throw new MalformedCaseError(file, `is not JSON: ${(reason as Error).message}`);
  }
}

function readConditions(at: Checked): RuleConditions {
  const conditions = at.get("conditions");
  if (!conditions.isAbsent) {
    return {
      glusterfs: conditions.get("glusterfs").flag(),
      namenodeHa: conditions.get("namenode_ha").flag(),
      resourcemanagerHa: conditions.get("resourcemanager_ha").flag(),
    };
  }
  const components = new Map<string, string[]>();
  for (const [host, roles] of at.get("topology").entries()) {
    for (const role of roles.list((each) => each.string())) {
      components.set(role, [...(components.get(role) ?? []), host]);
    }
  }
  return conditionsOf({ services: at.get("services").list((each) => each.string()), components });
}

function readCommand(at: Checked): HostCommand {
  const custom = at.get("custom_command");
  return {
    host: at.get("host").string(),
    role: at.get("role").string(),
    roleCommand: at.get("role_command").string(),
    ...(!custom.isAbsent && { customCommand: custom.string() }),
  };
}

function readStage(at: Checked): ExpectedCommand[] {
  return at.list((command) => ({
    role: command.get("role").string(),
    roleCommand: command.get("role_command").string(),
    customCommand: command.get("custom_command").isAbsent
      ? ""
      : command.get("custom_command").string(),
    hosts: command.get("hosts").list((host) => host.string()),
  }));
}

/** A value of a JSON file with the way to it, so that a complaint can name the place. */
class Checked {
  constructor(
    private readonly file: string,
    private readonly path: string,
    private readonly value: unknown,
  ) {}

  /** True for what is not there, and for null. */
  get isAbsent(): boolean {
    return this.value === undefined || this.value === null;
  }

  get(key: string): Checked {
    const value = (this.object() as Record<string, unknown>)[key];
    return new Checked(this.file, this.path ? `${this.path}.${key}` : key, value);
  }

  entries(): [string, Checked][] {
    return Object.keys(this.object()).map((key) => [key, this.get(key)]);
  }

  string(): string {
    if (typeof this.value === "string" && this.value !== "") return this.value;
    return this.fail("a string that is not empty");
  }

  /** True or false; what is absent is false. */
  flag(): boolean {
    if (this.isAbsent) return false;
    return typeof this.value === "boolean" ? this.value : this.fail("true or false");
  }

  list<T>(read: (element: Checked) => T): T[] {
    if (!Array.isArray(this.value)) return this.fail("a list");
    return this.value.map((element: unknown, index) =>
      read(new Checked(this.file, `${this.path}[${index}]`, element)),
    );
  }

  private object(): object {
    if (typeof this.value === "object" && this.value !== null && !Array.isArray(this.value)) {
      return this.value;
    }
    return this.fail("an object");
  }

  private fail(wanted: string): never {
    const got = this.value === undefined ? "nothing" : JSON.stringify(this.value).slice(0, 60);
    throw new MalformedCaseError(this.file, `${this.path || "it"} must be ${wanted}, not ${got}`);
  }
}
