import type { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { componentStates } from "@howdah/state/component-states";

/**
 * A function of a component's state as a text that SQL can apply, so that one statement moves many components without reading them
 * first: the table in lib/state decides, the database only looks up. One letter for each state, first for components that run, then
 * for clients: `a` stands for the first state; a capital letter says besides that the component takes the binding.
 */
export function stateMap(
  next: (state: ComponentState, client: boolean) => { state: ComponentState; bound: boolean },
): string {
  const letters = [false, true].flatMap((client) =>
    componentStates.map((from) => {
      const { state, bound } = next(from, client);
      return String.fromCharCode((bound ? 0x40 : 0x60) + state);
    }),
  );
  return letters.join("");
}

/** The map of doing what `first` says, then what `second` says. */
export function inTurn(first: string, second: string): string {
  return Array.from(first, (letter, place) => {
    const offset = place < componentStates.length ? 0 : componentStates.length;
    const between = letter.charCodeAt(0) & 31;
    const then = second.charAt(offset + between - 1);
    return letter < "a" ? then.toUpperCase() : then;
  }).join("");
}

/** The letter of a map in column `map` for a state in column `state`, in SQL; `client` is 1 for clients. */
const letterOf = (map: string, state: string, client: string) =>
  `ascii(substr(${map}, ${client} * ${componentStates.length} + ${state}, 1))`;

/** SQL for the number of the state that follows. */
export function mappedState(map: string, state: string, client: string): string {
  return `(${letterOf(map, state, client)} & 31)`;
}

/** SQL for whether the component takes the binding. */
export function takesBinding(map: string, state: string, client: string): string {
  return `${letterOf(map, state, client)} < 96`;
}
