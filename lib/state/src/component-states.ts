import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { openStatuses, type TaskStatus } from "./statuses.js";

/** Every state a component can have. */
export const componentStates = [
  ComponentState.INIT,
  ComponentState.INSTALLING,
  ComponentState.INSTALL_FAILED,
  ComponentState.INSTALLED,
  ComponentState.STARTING,
  ComponentState.STARTED,
  ComponentState.STOPPING,
  ComponentState.UNINSTALLING,
  ComponentState.UNINSTALLED,
  ComponentState.WIPING_OUT,
  ComponentState.UPGRADING,
  ComponentState.DISABLED,
  ComponentState.UNKNOWN,
] as const;

/** A command that says something about the state of its component. */
export type ComponentCommand =
  | RoleCommand.INSTALL
  | RoleCommand.START
  | RoleCommand.STOP
  | RoleCommand.RESTART
  | RoleCommand.UNINSTALL
  | RoleCommand.UPGRADE;

/** What became of such a command, as far as its component is concerned. */
export type ComponentEvent =
  | "runs"
  | "succeeded"
  | "failed"
  /** A cancel ended it, or it never began. */
  | "cancelled"
  /** Nobody can tell, for now. */
  | "unknown"
  /** It was unknown, and its agent has now said that it succeeded, or failed. */
  | "succeeded-late"
  | "failed-late";

/** From these states to that one; in all others the event changes nothing. */
interface Move {
  readonly from: readonly ComponentState[];
  readonly to: ComponentState;
}

type Moves = Readonly<Partial<Record<ComponentEvent, Move>>>;

const {
  INIT,
  INSTALLING,
  INSTALL_FAILED,
  INSTALLED,
  STARTING,
  STARTED,
  STOPPING,
  UNINSTALLING,
  UNINSTALLED,
  UPGRADING,
  DISABLED,
  UNKNOWN,
} = ComponentState;

/** What ran when its START or RESTART succeeded is STARTED, whatever was thought of it before. */
const running: Move = {
  from: [INIT, INSTALLING, INSTALL_FAILED, INSTALLED, STARTING, STARTED, STOPPING, UNKNOWN],
  to: STARTED,
};

/**
 * The states of Ambari's host components with its defects mended: what is UNKNOWN can be operated on, and nothing stays
 * UNINSTALLING or UPGRADING for ever. What a failed or unknown command left behind is told by the next check of the status, which is
 * heard where a component is INSTALLED, STARTED or UNKNOWN; so only what was installed before gets there by a failure. A late word
 * counts only where nobody has spoken since.
 */
export const componentMoves: Readonly<Record<ComponentCommand, Moves>> = {
  [RoleCommand.INSTALL]: {
    runs: { from: [INIT, INSTALL_FAILED, INSTALLED, UNINSTALLED], to: INSTALLING },
    succeeded: {
      from: [INIT, INSTALLING, INSTALL_FAILED, INSTALLED, UNINSTALLED, UNKNOWN],
      to: INSTALLED,
    },
    failed: { from: [INIT, INSTALLING, INSTALLED, UNINSTALLED], to: INSTALL_FAILED },
    cancelled: { from: [INSTALLING], to: INSTALL_FAILED },
    unknown: { from: [INIT, INSTALLING, UNINSTALLED], to: INSTALL_FAILED },
    "succeeded-late": { from: [INSTALL_FAILED, UNKNOWN], to: INSTALLED },
  },
  [RoleCommand.START]: {
    runs: { from: [INSTALLED, STOPPING, UNKNOWN], to: STARTING },
    succeeded: running,
    failed: { from: [STARTING, UNKNOWN], to: INSTALLED },
    cancelled: { from: [STARTING], to: INSTALLED },
    unknown: { from: [INSTALLED, STARTING], to: UNKNOWN },
    "succeeded-late": { from: [UNKNOWN], to: STARTED },
    "failed-late": { from: [UNKNOWN], to: INSTALLED },
  },
  [RoleCommand.STOP]: {
    runs: { from: [INSTALLED, STARTING, STARTED, UNKNOWN], to: STOPPING },
    succeeded: { from: [INSTALLED, STARTING, STARTED, STOPPING, UNKNOWN], to: INSTALLED },
    failed: { from: [STOPPING, UNKNOWN], to: STARTED },
    cancelled: { from: [STOPPING], to: STARTED },
    unknown: { from: [STARTED, STOPPING], to: UNKNOWN },
    "succeeded-late": { from: [UNKNOWN], to: INSTALLED },
    "failed-late": { from: [UNKNOWN], to: STARTED },
  },
  [RoleCommand.RESTART]: {
    runs: { from: [INSTALLED, STARTED, STOPPING, UNKNOWN], to: STARTING },
    succeeded: running,
    failed: { from: [STARTING, STARTED, UNKNOWN], to: INSTALLED },
    cancelled: { from: [STARTING], to: INSTALLED },
    unknown: { from: [INSTALLED, STARTING, STARTED], to: UNKNOWN },
    "succeeded-late": { from: [UNKNOWN], to: STARTED },
    "failed-late": { from: [UNKNOWN], to: INSTALLED },
  },
  [RoleCommand.UNINSTALL]: {
    runs: { from: [INIT, INSTALL_FAILED, INSTALLED, UNKNOWN], to: UNINSTALLING },
    succeeded: {
      from: [INIT, INSTALL_FAILED, INSTALLED, UNINSTALLING, UNKNOWN],
      to: UNINSTALLED,
    },
    failed: { from: [INSTALLED, UNINSTALLING, UNKNOWN], to: INSTALL_FAILED },
    cancelled: { from: [UNINSTALLING], to: INSTALL_FAILED },
    unknown: { from: [INSTALLED, UNINSTALLING], to: INSTALL_FAILED },
    "succeeded-late": { from: [INSTALL_FAILED, UNKNOWN], to: UNINSTALLED },
  },
  [RoleCommand.UPGRADE]: {
    runs: { from: [INSTALLED, UNKNOWN], to: UPGRADING },
    succeeded: { from: [INSTALLED, UPGRADING, UNKNOWN], to: INSTALLED },
    failed: { from: [INSTALLED, UPGRADING, UNKNOWN], to: INSTALL_FAILED },
    cancelled: { from: [UPGRADING], to: INSTALL_FAILED },
    unknown: { from: [INSTALLED, UPGRADING], to: INSTALL_FAILED },
    "succeeded-late": { from: [INSTALL_FAILED, UNKNOWN], to: INSTALLED },
  },
};

/** A client never runs, so nothing that starts or stops it changes what it is. */
const runsNever: ReadonlySet<RoleCommand> = new Set([
  RoleCommand.START,
  RoleCommand.STOP,
  RoleCommand.RESTART,
]);

/** What a component is after an event, and whether it now goes by the configurations that the command was bound to. */
export interface MovedComponent {
  readonly state: ComponentState;
  readonly bound: boolean;
}

/** What an event of a command makes of a component. Pure. */
export function moveComponent(
  state: ComponentState,
  command: ComponentCommand,
  event: ComponentEvent,
  client: boolean,
): MovedComponent {
  const move = client && runsNever.has(command) ? undefined : componentMoves[command][event];
  const moves = move?.from.includes(state) ?? false;
  const succeeded = event === "succeeded" || (event === "succeeded-late" && moves);
  const takesConfigurations =
    command === RoleCommand.START ||
    command === RoleCommand.RESTART ||
    (command === RoleCommand.INSTALL && client);
  return {
    state: moves && move !== undefined ? move.to : state,
    bound: succeeded && takesConfigurations,
  };
}

/** Which command of a component a task is, if it says something about the component's state. */
export function componentCommandOf(
  roleCommand: RoleCommand,
  customCommand: string,
): ComponentCommand | undefined {
  switch (roleCommand) {
    case RoleCommand.INSTALL:
    case RoleCommand.START:
    case RoleCommand.STOP:
    case RoleCommand.RESTART:
    case RoleCommand.UNINSTALL:
    case RoleCommand.UPGRADE:
      return roleCommand;
    case RoleCommand.CUSTOM_COMMAND:
      if (customCommand === "START") return RoleCommand.START;
      if (customCommand === "STOP") return RoleCommand.STOP;
      return customCommand === "RESTART" ? RoleCommand.RESTART : undefined;
    default:
      return undefined;
  }
}

/** What a component is wanted to be once somebody has asked for a command, given what it was wanted to be. Pure. */
export function nextDesiredState(
  was: ComponentState,
  command: ComponentCommand,
  client: boolean,
): ComponentState {
  if (was === DISABLED) return was;
  switch (command) {
    case RoleCommand.UNINSTALL:
      return UNINSTALLED;
    case RoleCommand.START:
    case RoleCommand.RESTART:
      return client ? INSTALLED : STARTED;
    case RoleCommand.STOP:
      return INSTALLED;
    default:
      // To install again what shall run does not stop it.
      return was === STARTED ? STARTED : INSTALLED;
  }
}

/** A task, as far as its component depends on it. */
interface TaskMoment {
  readonly status: TaskStatus;
  readonly attempt: number;
}

/**
 * What a change of a task means for its component; undefined when nothing. Only what its agent said counts, or that it cannot be asked.
 */
export function componentEventOf(
  before: TaskMoment,
  after: TaskMoment,
): ComponentEvent | undefined {
  const late = before.status === Status.UNKNOWN;
  if (before.status === after.status && before.attempt === after.attempt) return undefined;
  if (after.status === Status.IN_PROGRESS) return "runs";
  // A person's word about a task that is held or over says nothing about its component.
  if (!openStatuses.has(before.status)) return undefined;
  switch (after.status) {
    case Status.UNKNOWN:
      return "unknown";
    case Status.COMPLETED:
      return late ? "succeeded-late" : "succeeded";
    case Status.ABORTED:
      return late ? undefined : "cancelled";
    case Status.PENDING:
      // The same attempt: it never began. From UNKNOWN: perhaps a person wants it tried again.
      return after.attempt === before.attempt || late ? undefined : "failed";
    default:
      return late ? "failed-late" : "failed";
  }
}
