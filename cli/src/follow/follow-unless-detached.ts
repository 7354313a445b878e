import { create } from "@bufbuild/protobuf";
import type { Request } from "@howdah/proto/howdah/v1/request";
import { SubmitRequestResponseSchema } from "@howdah/proto/howdah/v1/request_service";
import { ExitCode } from "../exit-code.js";
import type { Session } from "../session.js";
import { jsonDocument } from "../text/json.js";
import { followRequest } from "./follow-request.js";

/**
 * Follows a request that was just set going, or says how to follow it when the person would not wait. Resolves with the exit code.
 */
export async function followUnlessDetached(
  session: Session,
  request: Request,
  detach: boolean,
): Promise<number> {
  const { requestId, version } = request;
  if (!detach) return followRequest(session, requestId, { since: version, untilParked: true });
  if (session.json) {
    const answer = create(SubmitRequestResponseSchema, { request });
    session.io.out(jsonDocument(SubmitRequestResponseSchema, answer));
  } else {
    session.io.out(`request ${requestId}; howdah request ${requestId} --watch follows it\n`);
  }
  return ExitCode.ok;
}
