import { after, before, describe } from "node:test";
import { type CompatFleet, startCompatFleet } from "./compat-fleet.js";
import { howCommandsEnd } from "./how-commands-end.js";
import { howCommandsRun } from "./how-commands-run.js";
import { whatScriptsFind } from "./what-scripts-find.js";

// In the order of an operator's day: what is started was installed before.
describe("the stack COMPAT, run by real services and agents", () => {
  let fleet: CompatFleet;
  before(async () => {
    fleet = await startCompatFleet();
  });
  after(() => fleet?.stop());

  const compat = () => fleet;
  whatScriptsFind(compat);
  howCommandsRun(compat);
  howCommandsEnd(compat);
});
