import { hash } from 'node:crypto';
import { parseStrictObject } from '@countersign/strict-jwt';
import type { Issuer } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { claimOf } from '../claim-mapping/claim-path.ts';
import { maxTokenLength } from '../compact-token.ts';
import type { OpaqueTokens, TrustedIssuer, VerifiedToken } from '../verified-tokens.ts';
import { refuseFirst } from '../verify-access-token.ts';
import { compileAnswers } from './read-answer.ts';
import { type Answer, readSignedAnswer } from './signed-answer.ts';

/** Three parts in the alphabet of base64url are a JWT, even if one is empty. It is verified, never introspected. */
const jwtShape = /^[\w-]*\.[\w-]*\.[\w-]*$/;
export const isOpaque = (token: string): boolean => !jwtShape.test(token);

/** Revocations may arrive during a request to the endpoint, so that its answer may be older than they are. */
const maxAttempts = 3;

/** Undefined if no issuer introspects. The configuration allows at most one. */
export function createOpaqueTokens(
  issuers: Iterable<TrustedIssuer>,
  nowMs: () => number,
  monotonicMs: () => number = () => performance.now(),
): OpaqueTokens | undefined {
  const issuer = [...issuers].find(({ introspection }) => introspection !== undefined);
  const settings = issuer?.config.introspection;
  if (issuer === undefined || settings === undefined) return undefined;
  const { config, revocations } = issuer;
  const examine = compileAnswers(config);

  /** Decides about an answer, and for how long it may be used: `cacheFor`, but not beyond `exp`. */
  function accept({ members, kid }: Answer, startedMs: number, version: number | undefined): VerifiedToken {
    const now = nowMs();
    const { claims, findings } = examine(members, now);
    refuseFirst(findings, config.issuer, claimOf(members, 'sub'));
    const keptMs = Math.min(settings?.cacheForMs ?? 0, claims.expiresAtSec * 1000 - now);
    const isFresh = () => monotonicMs() < startedMs + keptMs && revocations?.version === version;
    return { claims, kid, issuer: issuer as TrustedIssuer, generation: 0, prepared: new Map(), isFresh };
  }

  return {
    // With the issuer and the endpoint, so that the answer of one server is never used for another
    // (GHSA-4mq7-pvjg-xp2r). Hashed, so that the cache holds no token.
    keyOf: (text) =>
      isOpaque(text) ? hash('sha256', JSON.stringify([config.issuer, settings.url, text]), 'base64url') : undefined,
    async verify(text, admit) {
      if (text.length > maxTokenLength) throw new AppError('token_too_large');
      for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
        const version = revocations?.version;
        const sessions = issuer.events?.endedSessions;
        const startedMs = monotonicMs();
        const answer = await introspect(issuer, text, nowMs, admit);
        const token = accept(answer, startedMs, version);
        // The issuer may have answered before it ended the session, so ask again. While many revocations arrive, use
        // the last answer once, if it names all that they ended: the caller compares them.
        const isNamed =
          token.claims.sessionId !== undefined || (sessions !== undefined && sessions === issuer.events?.endedSessions);
        if (revocations?.version === version || (attempt === maxAttempts && isNamed)) return token;
      }
      throw new AppError('introspection_unavailable', {
        detail: { issuer: config.issuer, reason: 'revocations arrived during each request' },
      });
    },
  };
}

/**
 * Asks the issuer about one token.
 *
 * @param admit See {@link OpaqueTokens}.
 * @throws AppError `introspection_unavailable`.
 */
export async function introspect(
  issuer: TrustedIssuer,
  token: string,
  nowMs: () => number,
  admit: () => void = () => {},
): Promise<Answer> {
  const { introspection: endpoint, config } = issuer;
  const { introspection: settings } = config;
  if (endpoint === undefined || settings === undefined) throw new Error(`${config.issuer} does not introspect`);
  const askedAtMs = nowMs();
  return endpoint.ask(token, admit, async (body) => {
    const answer = settings.signed
      ? await readSignedAnswer(body.toString('latin1'), issuer, settings.clientId, { askedAtMs, nowMs: nowMs() })
      : { members: parseStrictObject(body), kid: '' };
    // An error page with status 200 must not log anyone out.
    if (typeof claimOf(answer.members, 'active') !== 'boolean') throw new Error('"active" is not a boolean');
    return answer;
  });
}

/** The issuer that opaque tokens go to. */
export const introspectingIssuer = (issuers: readonly Issuer[]): Issuer | undefined =>
  issuers.find(({ introspection }) => introspection !== undefined);
