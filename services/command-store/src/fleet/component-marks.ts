import {
  StackDefinition_Category as Category,
  type StackDefinition,
} from "@howdah/proto/howdah/v1/stack";
import type { Placement } from "./cluster.js";

/** What a stack and a cluster say of components besides where they are; names are unique in a cluster. */
export interface ComponentMarks {
  /** Installed and never started. */
  readonly clients: ReadonlySet<string>;
  /** Started by their agents when they do not run and should: what the cluster says counts, else the stack. Never a client. */
  readonly autoStarted: ReadonlySet<string>;
}

/** The marks of the components of a cluster of this stack. */
export function componentMarks(
  { services }: StackDefinition,
  placements: readonly Placement[],
): ComponentMarks {
  const said = new Map(placements.map((each) => [each.component, each.autoStart]));
  const components = services.flatMap((service) => service.components);
  const clients = components.filter(({ category }) => category === Category.CLIENT);
  return {
    clients: new Set(clients.map(({ name }) => name)),
    autoStarted: new Set(
      components
        .filter(({ category }) => category !== Category.CLIENT)
        .filter(({ name, recoveryEnabled }) => said.get(name) ?? recoveryEnabled)
        .map(({ name }) => name),
    ),
  };
}
