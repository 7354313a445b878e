import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonObject } from "../json.js";
import { ownEntry, parseAddress } from "./address.js";
import { AlertDefinitionError } from "./definition-error.js";
import { webAddress } from "./web-address.js";
import { urlOf } from "./web-request.js";

const addresses: [text: string, shown: string][] = [
  ["h1:80", "h1 80"],
  ["H1:80", "h1 80"],
  ["8088", "- 8088"],
  ["0.0.0.0:8088", "- 8088"],
  ["localhost:1", "- 1"],
  ["http://h1:80/jmx?a=b", "http h1 80 /jmx?a=b"],
  ["PLAINTEXT://h1:6667", "plaintext h1 6667"],
  ["sasl_ssl://:6667", "sasl_ssl - 6667"],
  ["[::1]:80", "::1 80"],
  ["[::]:80", "- 80"],
  ["h1", "h1 -"],
  ["h1:99999", "h1 -"],
  ["h1:x", "h1 -"],
  ["user@h1:5", "h1 5"],
  ["", "- -"],
  ["::::://///", "- -"],
];
for (const [text, shown] of addresses) {
  test(`the address ${JSON.stringify(text)}`, () => {
    const { scheme, host = "-", port = "-", path } = parseAddress(text);
    const parts = [scheme, host.replace(/^:+$/, "-"), port, path.startsWith("//") ? "" : path];
    assert.equal(parts.filter((part) => part !== undefined && part !== "").join(" "), shown);
  });
}

test("of a list the entry of this host is taken, else one without a host, else the first", () => {
  const port = (list: string, ...names: string[]) => ownEntry(list, names).port;
  assert.equal(port("web-10:1,web-1:2", "web-1"), 2);
  assert.equal(port("a:1, web-1.example.com:2", "web-1"), 2);
  assert.equal(port("a:1,web-1:2", "web-1.example.com"), 2);
  assert.equal(port("a:1,public:2", "web-1", "public"), 2);
  assert.equal(port("SSL://0.0.0.0:3,PLAINTEXT://0.0.0.0:4", "web-1"), 3);
  assert.equal(port("a:1,b:2", "web-1"), 1);
  assert.equal(port(",", "web-1"), undefined);
});

const site = {
  "http-a": "nn1:50070",
  "https-a": "nn1:50470",
  policy: "HTTPS_ONLY",
  services: "ns1,ns2",
  "aliases.ns2": "x, y",
  "address.ns2.x": "nn1:1001",
  "address.ns2.y": "web-1:1002",
  "secure.ns2.y": "web-1:1003",
  ids: "x,y",
  "rm.y": "web-1:2002",
};
const both = { http: "{{t/http-a}}", https: "{{t/https-a}}", https_property: "{{t/policy}}" };
const ha = {
  nameservice: "{{t/services}}",
  alias_key: "{{t/aliases.{{ha-nameservice}}}}",
  http_pattern: "{{t/address.{{ha-nameservice}}.{{alias}}}}",
  https_pattern: "{{t/secure.{{ha-nameservice}}.{{alias}}}}",
};
const uris: [what: string, uri: Json, url: string][] = [
  ["http", { ...both, https_property_value: "HTTP_ONLY" }, "http://nn1:50070"],
  ["https by its property", { ...both, https_property_value: "HTTPS_ONLY" }, "https://nn1:50470"],
  [
    "https where there is no http",
    { http: "{{t/none}}", https: "{{t/https-a}}" },
    "https://nn1:50470",
  ],
  [
    "the default port of this host",
    { http: "{{t/none}}", default_port: 8886 },
    "http://web-1:8886",
  ],
  ["a port alone", { http: "8088" }, "http://web-1:8088"],
  ["every address", { http: "0.0.0.0:8088" }, "http://web-1:8088"],
  ["a scheme in it", { http: "https://h:1/x" }, "https://h:1/x"],
  ["the port of the scheme", { http: "h" }, "http://h"],
  ["a path behind", { http: "{{t/http-a}}/ws/v1" }, "http://nn1:50070/ws/v1"],
  ["a text", "{{t/http-a}}", "http://nn1:50070"],
  ["an IPv6 address", { http: "[fe80::1]:80" }, "http://[fe80::1]"],
  ["high availability", { ...both, high_availability: ha }, "http://web-1:1002"],
  [
    "high availability and https",
    { ...both, https_property_value: "HTTPS_ONLY", high_availability: ha },
    "https://web-1:1003",
  ],
  [
    "high availability without a name service",
    { high_availability: { alias_key: "{{t/ids}}", http_pattern: "{{t/rm.{{alias}}}}" } },
    "http://web-1:2002",
  ],
  [
    "high availability that is not configured",
    { ...both, high_availability: { ...ha, nameservice: "{{t/none}}" } },
    "http://nn1:50070",
  ],
];
for (const [what, uri, url] of uris) {
  test(`a web address: ${what}`, () => {
    const root: JsonObject = { configurations: { t: site } };
    assert.equal(urlOf(webAddress(uri, { hostNames: ["web-1"], root })), url);
  });
}

test("no address and no default port is a broken definition", () => {
  const context = { hostNames: ["web-1"], root: {} };
  for (const uri of [
    undefined,
    {},
    { http: "{{a/b}}" },
    { default_port: 0 },
    { default_port: "x" },
  ]) {
    assert.throws(() => webAddress(uri, context), AlertDefinitionError);
  }
  assert.throws(
    () => webAddress({ http: "{{a/b}}" }, context),
    /none of \{\{a\/b\}\} is configured/,
  );
});
