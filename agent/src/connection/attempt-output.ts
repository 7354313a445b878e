import { OutputStream } from "@howdah/proto/howdah/v1/command";
import type { Logger } from "pino";
import type { AgentFolders } from "../folders.js";
import type { JournalEntry } from "../journal/entry.js";
import { dataFiles } from "../run/data-files.js";
import type { TaskKey } from "../task-key.js";
import { type AttemptStream, type OutputRange, readOutput } from "./output-source.js";
import { createOutputWatch } from "./output-watch.js";
import { readSmallOutput } from "./small-output.js";

/** What commands write, for those who upload it. */
export interface AttemptOutput {
  /** The next bytes to store of a stream, as `readOutput` says. */
  read(current: () => JournalEntry, range: OutputRange): Promise<Buffer>;
  /** The first `length` bytes of a stream of an attempt that has ended; fewer where there are fewer. */
  readSmall(entry: JournalEntry, stream: AttemptStream, length: number): Buffer;
  /** Tells when an attempt that runs has written; returns what ends that. */
  follow(key: TaskKey, wrote: (stream: AttemptStream) => void): () => void;
}

/** What the commands of an agent write into its files. */
export function fileOutput(folders: AgentFolders, log: Logger): AttemptOutput {
  const watch = createOutputWatch(folders.data, log);
  const nameOf = (path: string) => path.slice(folders.data.length + 1);
  return {
    read: (current, range) => readOutput(folders, current, range),
    readSmall: ({ key, fileSuffix }, stream, length) =>
      readSmallOutput(dataFiles(folders, key.taskId, fileSuffix), stream, length),
    follow(key, wrote) {
      // An attempt that runs has the plain names.
      const { stdout, stderr } = dataFiles(folders, key.taskId);
      const ends = [
        watch.follow(nameOf(stdout), () => wrote(OutputStream.STDOUT)),
        watch.follow(nameOf(stderr), () => wrote(OutputStream.STDERR)),
      ];
      return () => {
        for (const end of ends) end();
      };
    },
  };
}
