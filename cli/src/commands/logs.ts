import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { ReadTaskOutputResponseSchema } from "@howdah/proto/howdah/v1/store_output";
import { CliError } from "../cli-error.js";
import { ExitCode } from "../exit-code.js";
import { readOutput } from "../follow/read-output.js";
import { countOption, idArgument, leafCommand, type Run, sessionOf } from "../leaf-command.js";
import { jsonLine } from "../text/json.js";

/** `howdah logs TASK` */
export function addLogs(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "logs", "print what a task wrote")
    .argument("<task>", "the task", idArgument)
    .option("-f, --follow", "go on until the task has ended")
    .option("--stderr", "its standard error instead of its standard output")
    .option("--structured", "its structured output, a JSON object")
    .option("--attempt <number>", "a former attempt, from 1; default the current one", countOption)
    .action(async (taskId, { follow, stderr, structured, attempt }, command) => {
      const session = sessionOf(run, command);
      const { STDOUT, STDERR, STRUCTURED } = OutputStream;
      const stream = structured ? STRUCTURED : stderr ? STDERR : STDOUT;
      // Bytes of one character may come in two pieces.
      const decoder = new TextDecoder();
      const pieces = readOutput(session, {
        taskId,
        stream,
        attempt: attempt ?? 0,
        follow: follow === true,
      });
      try {
        for await (const piece of pieces) {
          if (session.json) session.io.out(jsonLine(ReadTaskOutputResponseSchema, piece));
          else session.io.out(decoder.decode(piece.data, { stream: true }));
        }
      } catch (error) {
        if (!session.io.interrupted.aborted) throw error;
        throw new CliError("interrupted; the task goes on", ExitCode.interrupted);
      }
      if (!session.json) session.io.out(decoder.decode());
    });
}
