import { uuidV7 } from '../contract/grammar.ts';
import { newRequestId } from '../contract/ids.ts';
import { IdentityRefused, IdentityUnavailable } from '../contract/refusal.ts';

/** The problems that this package itself responds with. */
const problems = {
  identity_refused: { status: 401, title: 'The request does not carry a valid identity from the gateway' },
  identity_unavailable: { status: 503, title: 'The identity of the request cannot be checked at the moment' },
  identity_not_allowed: { status: 403, title: 'This kind of caller is not allowed here' },
  insufficient_role: { status: 403, title: "The caller's role does not allow this request" },
  insufficient_scope: { status: 403, title: "The caller's scopes do not allow this request" },
  payload_too_large: { status: 413, title: 'The request body is too large' },
} as const;

type ProblemCode = keyof typeof problems;
export type ProblemResponse = Readonly<{ status: number; headers: Readonly<Record<string, string>>; body: string }>;

/** Why a guard refuses a caller, with additional response headers. */
export type GuardRefusal = Readonly<{
  code: 'identity_not_allowed' | 'insufficient_role' | 'insufficient_scope';
  headers: Readonly<Record<string, string>>;
}>;

/** The body is larger than the service reads into memory to check its digest. */
export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge';
}

/** The request that a problem is about. If `requestId` is invalid or missing, a new id is generated. */
type About = Readonly<{ target: string; requestId: string | undefined }>;

/** Builds a problem+json response (RFC 9457). It shows the path without the query, which may contain secrets. */
function problemResponse(code: ProblemCode, about: About, more: ProblemResponse['headers']): ProblemResponse {
  const { status, title } = problems[code];
  const id = about.requestId !== undefined && uuidV7.matches(about.requestId) ? about.requestId : newRequestId();
  const instance = about.target.split('?', 1)[0]?.slice(0, 1024) ?? '/';
  const body = { type: `urn:countersign:error:${code}`, title, status, instance, code, request_id: id };
  return {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', 'x-request-id': id, ...more },
    body: JSON.stringify(body),
  };
}

/** Builds the response to a caller that a guard refuses. */
export const problemForRefusal = ({ code, headers }: GuardRefusal, about: About): ProblemResponse =>
  problemResponse(code, about, headers);

/** Maps an error to its response. @returns undefined for errors that this package does not answer. */
export function problemForError(error: unknown, about: About): (ProblemResponse & { reason: string }) | undefined {
  if (error instanceof IdentityRefused) {
    const { reason } = error;
    // RFC 9110 section 15.5.2 requires a challenge in every 401.
    const headers = { 'x-identity-refused': reason, 'www-authenticate': 'Countersign' };
    return { ...problemResponse('identity_refused', about, headers), reason };
  }
  if (error instanceof IdentityUnavailable) {
    const { reason } = error;
    const headers = { 'retry-after': '1', 'x-identity-unavailable': reason };
    return { ...problemResponse('identity_unavailable', about, headers), reason };
  }
  if (error instanceof BodyTooLarge) {
    return { ...problemResponse('payload_too_large', about, { connection: 'close' }), reason: 'body_too_large' };
  }
  return undefined;
}
