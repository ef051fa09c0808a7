import { uuidV7 } from '../contract/grammar.ts';
import { newRequestId } from '../contract/ids.ts';
import { IdentityRefused, IdentityUnavailable } from '../contract/refusal.ts';

/** What this package answers by itself. */
const problems = {
  identity_refused: { status: 401, title: 'The request does not carry a valid identity from the gateway' },
  identity_unavailable: { status: 503, title: 'The identity of the request cannot be checked at the moment' },
  identity_not_allowed: { status: 403, title: 'This kind of caller may not do this' },
  insufficient_role: { status: 403, title: 'The role of the caller does not allow this' },
  payload_too_large: { status: 413, title: 'The request body is too large' },
} as const;

export type ProblemCode = keyof typeof problems;
export type ProblemResponse = Readonly<{ status: number; headers: Readonly<Record<string, string>>; body: string }>;

/** The body exceeds what the service reads into memory to compare a digest. */
export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge';
}

/** An RFC 9457 answer. The path is shown without its query, which may hold what should not be echoed. */
export function problemResponse(
  code: ProblemCode,
  request: { target: string; requestId: string | undefined },
): ProblemResponse {
  const { status, title } = problems[code];
  const id = request.requestId !== undefined && uuidV7.matches(request.requestId) ? request.requestId : newRequestId();
  const instance = request.target.split('?', 1)[0]?.slice(0, 1024) ?? '/';
  const body = { type: `urn:countersign:error:${code}`, title, status, instance, code, request_id: id };
  return {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', 'x-request-id': id },
    body: JSON.stringify(body),
  };
}

/** @returns undefined for an error that is not this package's to answer. */
export function problemForError(
  error: unknown,
  request: { target: string; requestId: string | undefined },
): (ProblemResponse & { reason: string }) | undefined {
  if (error instanceof IdentityRefused) {
    const base = problemResponse('identity_refused', request);
    // RFC 9110 section 15.5.2 wants a challenge with every 401.
    const headers = { ...base.headers, 'x-identity-refused': error.reason, 'www-authenticate': 'Countersign' };
    return { ...base, headers, reason: error.reason };
  }
  if (error instanceof IdentityUnavailable) {
    const base = problemResponse('identity_unavailable', request);
    const headers = { ...base.headers, 'retry-after': '1', 'x-identity-unavailable': error.reason };
    return { ...base, headers, reason: error.reason };
  }
  if (error instanceof BodyTooLarge) {
    const base = problemResponse('payload_too_large', request);
    return { ...base, headers: { ...base.headers, connection: 'close' }, reason: 'body_too_large' };
  }
  return undefined;
}
