import assert from "node:assert/strict";
import { test } from "node:test";
import { parseOsPackages } from "./os-packages.js";
import { parseXml } from "./xml.js";

test("the packages of a service, by system", () => {
  const read = (text: string) => parseOsPackages(parseXml(`<service>${text}</service>`, "m.xml"));
  const text = `<osSpecifics>
    <osSpecific><osFamily>redhat7, redhat8</osFamily><packages>
      <package><name>hadoop_\${stack_version}</name><skipUpgrade>true</skipUpgrade></package>
      <package><name>snappy</name><condition>should_install_snappy</condition></package>
    </packages></osSpecific>
    <osSpecific><osFamily>any</osFamily></osSpecific>
  </osSpecifics>`;
  assert.deepEqual(read(text), [
    {
      osFamilies: ["redhat7", "redhat8"],
      packages: [
        { name: `hadoop_\${stack_version}`, condition: "", skipUpgrade: true },
        { name: "snappy", condition: "should_install_snappy", skipUpgrade: false },
      ],
    },
    { osFamilies: ["any"], packages: [] },
  ]);
  assert.equal(read(""), undefined);
});
