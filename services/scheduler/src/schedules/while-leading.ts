import { NotLeadingError } from "../not-leading.js";

/** Does what somebody asks for, as long as the signal says that this scheduler leads. Throws NotLeadingError once it aborts. */
export async function whileLeading<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const ended = new NotLeadingError("this scheduler does not lead any more", "unknown");
  if (signal.aborted) throw ended;
  let end: () => void = () => undefined;
  const over = new Promise<never>((_, reject) => {
    end = () => reject(ended);
    signal.addEventListener("abort", end, { once: true });
  });
  try {
    return await Promise.race([work(), over]);
  } finally {
    signal.removeEventListener("abort", end);
  }
}
