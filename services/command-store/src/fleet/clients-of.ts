import {
  StackDefinition_Category as Category,
  type StackDefinition,
} from "@howdah/proto/howdah/v1/stack";

/** The components of a stack that are installed and never started. */
export function clientsOf({ services }: StackDefinition): ReadonlySet<string> {
  return new Set(
    services
      .flatMap(({ components }) => components)
      .filter(({ category }) => category === Category.CLIENT)
      .map(({ name }) => name),
  );
}
