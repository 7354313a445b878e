import { ComponentState } from "@howdah/proto/howdah/v1/fleet";

/**
 * What operators want a component to be, as far as this host knows. What the server says in a check may have been overtaken by a command
 * that came here meanwhile: a STOP must never be undone by what was wanted before it. So each word has the request it comes from.
 */
export interface Wanted {
  /** STARTED or INSTALLED; undefined: it is left alone. */
  readonly state: ComponentState | undefined;
  /** False when the server leaves it unstated, as for maintenance: then no command states it either. */
  readonly followed: boolean;
  /** The request of the last word: of a command that came, or of a check that was believed. */
  readonly lastRequest: bigint;
  /** The greatest of all such requests. */
  readonly greatestRequest: bigint;
}

/** Nothing is known. */
export const unknownWanted: Wanted = {
  ...{ state: undefined, followed: false, lastRequest: 0n, greatestRequest: 0n },
};

/** What a check says: a state of request R; no state of request R while that works on it; neither when it is not to be recovered. */
export interface SaidWanted {
  readonly desiredState: ComponentState;
  readonly desiredRequestId: bigint;
}

/** What is wanted after a check. One of a request that is older than what came here is not believed. Pure. */
export function wantedAfterCheck(
  was: Wanted,
  { desiredState, desiredRequestId: request }: SaidWanted,
): Wanted {
  if (request === 0n) return { ...was, state: undefined, followed: false };
  const isNews = request > was.greatestRequest;
  if (!isNews && request !== was.lastRequest) return was;
  const greatestRequest = isNews ? request : was.greatestRequest;
  const word = { followed: true, lastRequest: request, greatestRequest };
  if (desiredState === ComponentState.STARTED || desiredState === ComponentState.INSTALLED) {
    return { ...word, state: desiredState };
  }
  // What came here of the request counts while it is being worked on.
  return { ...word, state: isNews ? undefined : was.state };
}

/** A command as scripts know it: START, STOP, INSTALL, RESTART … */
export interface GivenCommand {
  readonly name: string;
  readonly requestId: bigint;
}

/** What is wanted after a command has come. Pure. */
export function wantedAfterCommand(was: Wanted, { name, requestId }: GivenCommand): Wanted {
  const now = stateAfter(was.state, name);
  if (now === "unchanged") return was;
  const greatestRequest = requestId > was.greatestRequest ? requestId : was.greatestRequest;
  return {
    state: was.followed ? now : undefined,
    followed: was.followed,
    lastRequest: requestId,
    greatestRequest,
  };
}

function stateAfter(
  was: ComponentState | undefined,
  name: string,
): ComponentState | undefined | "unchanged" {
  switch (name) {
    case "START":
    case "RESTART":
      return ComponentState.STARTED;
    case "STOP":
      return ComponentState.INSTALLED;
    case "INSTALL":
    case "UPGRADE":
      // To install again what shall run does not stop it.
      return was === ComponentState.STARTED ? was : ComponentState.INSTALLED;
    case "UNINSTALL":
      return undefined;
    default:
      return "unchanged";
  }
}
