/** Thrown when a definition cannot be evaluated as it is written. The message says what is wrong, in one line. */
export class AlertDefinitionError extends Error {
  override readonly name = "AlertDefinitionError";
}
