// An agent without a network, as a process of its own that tests may kill: runs the commands of the file named first
// under the prefix named second, and writes `STATE TASK ATTEMPT STATUS` for each of their ends to stdout.
import { readFileSync } from "node:fs";
import { agentFolders, createFolders } from "../folders.js";
import type { JournalEntry } from "../journal/entry.js";
import type { CommandSpec } from "../run/command-spec.js";
import { installSupervisor } from "../run/install-supervisor.js";
import { asJsonCommand, startTestAgent } from "./test-agent.js";

const [, , prefix = "", commandFile = ""] = process.argv;
const folders = agentFolders(prefix);
createFolders(folders);
installSupervisor(folders);
const tell = ({ key, result }: JournalEntry) =>
  process.stdout.write(
    `ended ${key.taskId} ${key.attempt} ${result?.status} ${result?.exitCode}\n`,
  );
const agent = await startTestAgent(folders, { onEnded: tell });
process.stdout.write("open\n");
const specs = JSON.parse(readFileSync(commandFile, "utf8")) as CommandSpec[];
for (const spec of specs) await agent.queue.accept(spec.key, asJsonCommand(spec));
process.stdout.write("accepted\n");
await agent.queue.idle();
await agent.stop();
process.stdout.write("idle\n");
