/** Acknowledges reports of one session in the order in which they came: an older one must not be the last word about what a newer one replaced. */
export interface AlertAcks {
  /** A report came; call what is returned once nothing of it is to be waited for any more. */
  begin(sequence: bigint): () => void;
}

/** How many may be held back for those before them. */
const maxHeldBack = 1_000;

/** Makes it. More than 1,000 are not held back: then they are acknowledged as they are done. */
export function createAlertAcks(acknowledge: (sequence: bigint) => void): AlertAcks {
  let open: { readonly sequence: bigint; isDone: boolean }[] = [];
  return {
    begin(sequence) {
      const report = { sequence, isDone: false };
      open.push(report);
      return () => {
        report.isDone = true;
        const first = open.findIndex(({ isDone }) => !isDone);
        const done = open.splice(0, first === -1 ? open.length : first);
        if (open.length > maxHeldBack) {
          done.push(...open.filter(({ isDone }) => isDone));
          open = open.filter(({ isDone }) => !isDone);
        }
        for (const each of done) acknowledge(each.sequence);
      };
    },
  };
}
