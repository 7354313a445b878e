import type { Handler } from "./one-port.js";

/** Answers what is no call: a word about the gateway at `/`, and a hint everywhere else. */
export const plainPages: Handler = (request, response) => {
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  if (path === "/") answer(response, 200, welcome(request.headers.host));
  else answer(response, 404, notFound(path));
};

/** Answers a request with plain text. */
export function answer(response: Parameters<Handler>[1], status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
  response.write(text);
  response.end();
}

function welcome(host = "127.0.0.1:7400"): string {
  return `This is Howdah's gateway: Connect, gRPC, gRPC-Web and JSON on one port.

  curl -d '{}' http://${host}/howdah.v1.FleetService/ListHosts
  howdah --server http://${host} hosts
  buf curl --http2-prior-knowledge --protocol grpc http://${host} --list-methods
`;
}

function notFound(path: string): string {
  return `There is nothing at ${path}. A call goes to /howdah.v1.SERVICE/METHOD, such as /howdah.v1.FleetService/ListHosts.\n`;
}
