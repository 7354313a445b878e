import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import type { RecoveryType } from "./recovery-settings.js";

/** What an agent does by itself. */
export type RecoveryCommand = "START" | "INSTALL" | "STOP";

const { INIT, INSTALL_FAILED, INSTALLED, STARTED } = ComponentState;

/** The command that brings a component one step nearer to what it is wanted to be; undefined when there is none. Pure. */
export function nextCommand(
  type: RecoveryType,
  current: ComponentState,
  desired: ComponentState,
): RecoveryCommand | undefined {
  if (desired !== STARTED && desired !== INSTALLED) return undefined;
  if (current === INSTALLED && desired === STARTED) return "START";
  if (current === INSTALL_FAILED && type !== "AUTO_START") return "INSTALL";
  if (type !== "FULL") return undefined;
  if (current === INIT) return "INSTALL";
  return current === STARTED && desired === INSTALLED ? "STOP" : undefined;
}
