import { type Actor, isIssuer, isSubject } from '@countersign/identity';
import { claimOf, type Payload } from './claim-path.ts';
import { described, type Finding, finding } from './finding.ts';

const maxDepth = 8;
const maxCharacters = 2048;

/** A token's outermost actor, or the problem with its `act`. Both are undefined if there is no actor. */
export type ReadActor = Readonly<{ actor: Actor | undefined; finding: Finding | undefined }>;

const none: ReadActor = { actor: undefined, finding: undefined };

/**
 * Reads `act`. Only the outermost actor counts. The nested ones are checked too, because a malformed one could have
 * been meant as the outermost. An actor without `iss` belongs to the token's issuer.
 *
 * @param issuer The token's `iss`.
 * @see RFC 8693 section 4.1
 */
export function readActor(payload: Payload, issuer: string): ReadActor {
  if (!Object.hasOwn(payload, 'act')) return none;
  let outermost: Actor | undefined;
  let value: unknown = payload.act;
  for (let depth = 1; ; depth += 1) {
    if (depth > maxDepth) return refused(`at most ${maxDepth} nested actors`, 'more');
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return refused('an object', described(value));
    const level = value as Payload;
    const sub = claimOf(level, 'sub');
    if (typeof sub !== 'string' || !isSubject(sub)) return refused('a sub in each actor', described(sub));
    const iss = Object.hasOwn(level, 'iss') ? level.iss : issuer;
    if (typeof iss !== 'string' || !isIssuer(iss)) return refused('an issuer as iss', described(iss));
    outermost ??= { sub, iss };
    if (!Object.hasOwn(level, 'act')) break;
    value = level.act;
  }
  const { length } = JSON.stringify(payload.act);
  if (length > maxCharacters) return refused(`at most ${maxCharacters} characters`, `${length} characters`);
  return { actor: outermost, finding: undefined };
}

function refused(wanted: string, found: string): ReadActor {
  const fix = 'the provider must describe the actor as in RFC 8693 section 4.1';
  return { actor: undefined, finding: finding('token_actor_invalid', 'act', wanted, found, fix) };
}
