import { AlertState } from "@howdah/proto/howdah/v1/alert";
import { AlertFirmness } from "@howdah/proto/howdah/v1/alert_service";

/** The states that are stored, what is worst first: their order in the tables and in lists. */
export const storedStates = [
  AlertState.CRITICAL,
  AlertState.WARNING,
  AlertState.UNKNOWN,
  AlertState.OK,
] as const;

/** A state's number in the tables, from 1. */
export function toStoredState(state: AlertState): number {
  return storedStates.indexOf(state as (typeof storedStates)[number]) + 1;
}

/** The state of a number in the tables. */
export function fromStoredState(number: number): AlertState {
  return storedStates[number - 1] ?? AlertState.UNSPECIFIED;
}

/** A firmness has the same number in the tables as in protobuf; another is none. */
export function fromStoredFirmness(number: number): AlertFirmness {
  return number === 1 ? AlertFirmness.SOFT : AlertFirmness.HARD;
}
