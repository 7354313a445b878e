import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import { ConnectError } from "@connectrpc/connect";
import type { OperationSchema, Rolling } from "@howdah/proto/howdah/v1/operation";
import type { StageRole } from "@howdah/proto/howdah/v1/request";
import {
  NothingToDoSchema,
  type PlannedRole,
  type PlannedStage,
  PlanRequestResponseSchema,
} from "@howdah/proto/howdah/v1/request_service";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { batchCount } from "../batch-count.js";
import { followUnlessDetached } from "../follow/follow-unless-detached.js";
import { labelOption, listOption, type Run, sessionOf } from "../leaf-command.js";
import { requestCommand } from "../request-flags.js";
import { requestOptions } from "../request-options.js";
import type { Session } from "../session.js";
import { skippedLine, submit } from "../submit.js";
import { jsonDocument } from "../text/json.js";
import { renderTable } from "../text/table.js";
import { plural, roleCommandWord, someNames } from "../text/words.js";

const verbs = {
  install: [RoleCommand.INSTALL, "install services"],
  start: [RoleCommand.START, "start services, in the order of their dependencies, and check them"],
  stop: [RoleCommand.STOP, "stop services, in the reverse order"],
  restart: [RoleCommand.RESTART, "restart services, and check them"],
  check: [RoleCommand.SERVICE_CHECK, "run the checks of services"],
} as const;

type Verb = keyof typeof verbs;
const verbNames = Object.keys(verbs) as Verb[];

/** `howdah install|start|stop|restart|check [SERVICE…]` and `howdah plan VERB [SERVICE…]` */
export function addOperate(program: CommandUnknownOpts, run: Run): void {
  for (const verb of verbNames) {
    operationCommand(program, verb, verbs[verb][1])
      .option("--key <key>", "a key of your own: the same key never runs twice")
      .option("--context <text>", "what it is about, for people")
      .option("-d, --detach", "do not follow it")
      .action(async (services, options, command) => {
        const session = sessionOf(run, command);
        const { key, context, detach = false } = options;
        const how = requestOptions(options);
        const operation = await operationOf(session, verb, services, options);
        const submission = { operation, options: how, key, context };
        if (run.take !== undefined) return run.take(submission);
        const request = await submit(session, submission).catch((error: unknown) => {
          if (tellNothingToDo(session, error)) return undefined;
          throw error;
        });
        if (request === undefined) return;
        run.exitCode = await followUnlessDetached(session, request, detach);
      });
  }

  const plan = program
    .command("plan")
    .summary("show what an operation would do, and run nothing")
    .description("Show what an operation would do: its stages, and the hosts it would leave out.");
  for (const verb of verbNames) {
    operationCommand(plan, verb, `what \`howdah ${verb}\` would do`)
      .option("--all", "every host's name, however many")
      .action(async (services, options, command) => {
        const session = sessionOf(run, command);
        const how = requestOptions(options);
        const operation = await operationOf(session, verb, services, options);
        const answer = await session.requests.planRequest({ operation, options: how });
        if (session.json) {
          session.io.out(jsonDocument(PlanRequestResponseSchema, answer));
          return;
        }
        session.io.out(planTable(answer.stages, options.all === true, how.rolling));
        if (answer.unchanged > 0) {
          const what = plural(answer.unchanged, "component is", "components are");
          session.io.out(`${what} left out: as asked for already\n`);
        }
        session.io.out(skippedLine(answer.skippedHosts));
      });
  }
}

function operationCommand(parent: CommandUnknownOpts, verb: Verb, summary: string) {
  return requestCommand(parent, verb, summary)
    .argument("[services...]", "the services; default all of the cluster")
    .option("--cluster <name>", "the cluster; not needed where there is one")
    .option("--components <names>", "only these components of the services", listOption)
    .option("--hosts <selector>", "only on these hosts: web-*, db-[01-20], several with commas")
    .option("--label <key=value>", "only on hosts with this label", labelOption)
    .option("--no-check", "without the services' checks at the end")
    .addOption(
      new Option(
        "--even-if-done",
        "whatever is known of the components' states: also what is so already, or was never installed",
      ).hideHelp(verb === "check"),
    )
    .addOption(
      new Option(
        "--restart-required",
        "only components whose configurations changed since they were started",
      ).hideHelp(verb !== "restart"),
    );
}

/** Tells that all is as asked for already, which is as good as done. False for any other error. */
function tellNothingToDo({ json, io }: Session, error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  const [done] = error.findDetails(NothingToDoSchema);
  if (done === undefined) return false;
  io.out(json ? jsonDocument(NothingToDoSchema, done) : `${error.rawMessage}\n`);
  return true;
}

interface OperationFlags {
  cluster?: string | undefined;
  components?: string[] | undefined;
  hosts?: string | undefined;
  label?: Record<string, string> | undefined;
  check: boolean;
  evenIfDone?: true | undefined;
  restartRequired?: true | undefined;
}

async function operationOf(
  session: Session,
  verb: Verb,
  services: string[],
  flags: OperationFlags,
): Promise<MessageInitShape<typeof OperationSchema>> {
  const { components = [], hosts, label: labels = {}, check } = flags;
  return {
    kind: {
      case: "service",
      value: {
        cluster: flags.cluster ?? (await onlyCluster(session)),
        roleCommand: verbs[verb][0],
        services,
        components,
        hosts: { names: hosts === undefined ? [] : [hosts], labels },
        skipServiceChecks: !check,
        evenIfDone: flags.evenIfDone === true,
        restartRequiredOnly: flags.restartRequired === true,
      },
    },
  };
}

/** The one cluster there is. The server refuses, and names them, where there are several. */
export async function onlyCluster({ fleet }: Session): Promise<string> {
  const { cluster } = await fleet.getCluster({ name: "" });
  return cluster?.name ?? "";
}

/** A plan's stages, their roles and hosts, and in how many batches those go. */
export function planTable(
  stages: readonly PlannedStage[],
  all: boolean,
  rolling?: Rolling,
): string {
  if (stages.length === 0) return "nothing to do\n";
  const limit = all ? Number.POSITIVE_INFINITY : 4;
  const ordered = stages.some(({ roles }) => roles.some(({ role }) => role?.blockers.length));
  const inBatches = batchCount(rolling, 1) !== undefined;
  let tasks = 0;
  const rows = stages.flatMap(({ roles }, index) => {
    const hosts = new Set(roles.flatMap(({ hostNames }) => hostNames)).size;
    return roles.map(({ role, hostNames }, place) => {
      const count = role?.counts?.total ?? hostNames.length;
      tasks += count;
      return [
        place === 0 ? String(index + 1) : "",
        roleCommandWord(role?.roleCommand ?? RoleCommand.UNSPECIFIED, role?.customCommand),
        role?.role ?? "",
        String(count),
        ...(inBatches ? [place === 0 ? String(batchCount(rolling, hosts)) : ""] : []),
        someNames(hostNames, limit),
        ...(ordered ? [someNames(blockersOf(roles, role), limit)] : []),
      ];
    });
  });
  const summary = `${plural(stages.length, "stage")}, ${plural(tasks, "task")}; nothing was run\n`;
  const head = ["STAGE", "COMMAND", "ROLE", "TASKS"];
  head.push(...(inBatches ? ["BATCHES"] : []), "HOSTS", ...(ordered ? ["AFTER"] : []));
  return renderTable(head, rows) + summary;
}

/** What must be done before a role of a stage, where roles are ordered and stages are not. */
function blockersOf(roles: readonly PlannedRole[], role: StageRole | undefined): string[] {
  return (role?.blockers ?? []).flatMap((place) => {
    const blocker = roles[place]?.role;
    if (blocker === undefined) return [];
    return [`${roleCommandWord(blocker.roleCommand, blocker.customCommand)} ${blocker.role}`];
  });
}
