import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { placeOf } from "./maintenance.js";
import { type Operation, shorten } from "./operation.js";

/** The last word about a component on a host. */
export interface ComponentWord {
  readonly current: ComponentState;
  /** What operators last asked for. */
  readonly desired: ComponentState;
  /** Its configurations have changed since it was started (installed, for a client). */
  readonly restartRequired: boolean;
  readonly client: boolean;
}

/** What is known of components on hosts, by `placeOf`. Nothing is assumed of one that is not in it. */
export type ComponentStates = ReadonlyMap<string, ComponentWord>;

/** Thrown when something is to be started that was never installed. */
export class NotInstalledError extends Error {
  override readonly name = "NotInstalledError";

  constructor(
    services: readonly string[],
    /** `COMPONENT on HOST (STATE)` each. */
    readonly components: readonly string[],
  ) {
    const install = `\`howdah install ${services.join(" ")}\``;
    super(
      `not installed: ${shorten(components)}; install them first: ${install}, or leave them out with --components or --hosts`,
    );
  }
}

/** What of a component's hosts an operation has to do with. */
export interface Need {
  /** Where something is to be done. */
  readonly hosts: readonly string[];
  /** On how many it is done already. */
  readonly done: number;
  /** Where it is switched off. */
  readonly disabled: readonly string[];
}

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
  WIPING_OUT,
  UPGRADING,
  DISABLED,
  UNKNOWN,
} = ComponentState;

const installed = new Set([INSTALLED, STARTING, STARTED, STOPPING, UPGRADING, UNKNOWN]);
const neverStarted = new Set([INSTALL_FAILED, UNINSTALLING, UNINSTALLED, WIPING_OUT]);
const notRunning = new Set([INIT, INSTALLING, INSTALLED]);

/**
 * Where an operation has something to do. install, start and stop leave out what is as it shall be by the last word, unless the operation
 * takes it in all the same, or something else was asked for since: requests run in their order, and what they will do is not known yet.
 */
export function needOf(
  operation: Pick<Operation, "kind" | "evenIfDone" | "restartRequiredOnly">,
  states: ComponentStates | undefined,
  component: string,
  hosts: readonly string[],
): Need {
  if (states === undefined || states.size === 0) return { hosts, done: 0, disabled: [] };
  const disabled: string[] = [];
  let done = 0;
  const needed = hosts.filter((host) => {
    const word = states.get(placeOf(component, host));
    if (word === undefined) return true;
    if (word.current === DISABLED || word.desired === DISABLED) {
      disabled.push(host);
      return false;
    }
    if (!isDone(operation, word)) return true;
    done += 1;
    return false;
  });
  return { hosts: needed, done, disabled };
}

function isDone(
  { kind, evenIfDone, restartRequiredOnly }: Parameters<typeof needOf>[0],
  { current, desired, restartRequired, client }: ComponentWord,
): boolean {
  switch (kind) {
    case "install":
      return !evenIfDone && installed.has(current) && desired !== UNINSTALLED;
    case "start":
      return !evenIfDone && current === STARTED && desired === STARTED;
    case "stop":
      if (evenIfDone) return false;
      return neverStarted.has(current) || (notRunning.has(current) && desired !== STARTED);
    case "restart": {
      if (!restartRequiredOnly) return false;
      // What was stopped on purpose takes the new configurations when it is started.
      const stopped = !client && current === INSTALLED && desired !== STARTED;
      return !restartRequired || stopped;
    }
    default:
      return false;
  }
}

/**
 * Throws NotInstalledError when start or restart is to touch what was never installed, and nobody has asked for that either, unless the
 * operation goes by no state. Ambari leaves such components out without a word.
 * @param chosen what is to be done where
 */
export function checkInstalled(
  { kind, evenIfDone }: Pick<Operation, "kind" | "evenIfDone">,
  states: ComponentStates | undefined,
  chosen: readonly {
    readonly service: string;
    readonly component: string;
    readonly hosts: readonly string[];
  }[],
): void {
  if (states === undefined || evenIfDone || (kind !== "start" && kind !== "restart")) return;
  const services = new Set<string>();
  const found = chosen.flatMap(({ service, component, hosts }) =>
    hosts.flatMap((host) => {
      const { current, desired } = states.get(placeOf(component, host)) ?? {};
      if (current === undefined) return [];
      if (!neverStarted.has(current) && (current !== INIT || desired !== INIT)) return [];
      services.add(service);
      return [`${component} on ${host} (${ComponentState[current]})`];
    }),
  );
  if (found.length > 0) throw new NotInstalledError([...services].sort(), found.sort());
}
