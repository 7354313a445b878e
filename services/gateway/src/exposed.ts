import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { Access, access } from "@howdah/proto/howdah/v1/access";

const ofOperators = new Set([Access.VIEWER, Access.OPERATOR, Access.ADMINISTRATOR]);

/** Whether operators may call the method, by its `access` option; what does not say so may only be called inside. */
export function isExposed(method: DescMethod): boolean {
  return ofOperators.has(getOption(method, access));
}
