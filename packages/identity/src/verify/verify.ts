import { coveredComponents, identityTag } from '../contract/contract.ts';
import { contentDigest } from '../contract/digest.ts';
import { id } from '../contract/grammar.ts';
import type { Identity } from '../contract/identity.ts';
import { IdentityRefused } from '../contract/refusal.ts';
import type { GatewayKeys } from '../keys/gateway-keys.ts';
import type { ReplayStore } from '../replay/replay.ts';
import { assertFresh, type FreshnessRules } from './freshness.ts';
import { parseIdentityHeaders } from './identity-headers.ts';
import { parseRawHeaders } from './raw-headers.ts';
import {
  assertSignature,
  claimNonce,
  componentLines,
  componentReader,
  readSignature,
  splitTarget,
} from './signed-message.ts';

export type VerifierOptions = Readonly<{
  /** This service's name in gateway.yaml. A request that was signed for another service is refused. */
  audience: string;
  keys: GatewayKeys;
  replay: ReplayStore;
  /** Clock difference allowed either way, in seconds. Default 5. */
  toleranceSec?: number;
  /** Longest `expires - created` accepted, whatever the signer says. Default 60. */
  maxLifetimeSec?: number;
  nowMs?: () => number;
}>;

export type RequestHead = Readonly<{
  method: string;
  /** The raw request target: path and query as they came, before any router or framework touched them. */
  target: string;
  /** Name, value, name, value, as they came. */
  rawHeaders: readonly string[];
  /** Where headers do not tell: whether there is a body. */
  hasBody?: boolean;
  /** This path takes bodies without a digest (a route with `body: { mode: stream }`). Decided by the service, from its own code. */
  stream?: boolean;
}>;

/** A head whose signature holds. The request is good only when `complete` says so. */
export interface VerifiedHead {
  /** The whole body has to be read and handed to {@link complete}. */
  readonly needsBody: boolean;
  /**
   * Compares the digest and uses up the nonce.
   *
   * @throws IdentityRefused
   */
  complete(body?: Uint8Array): Promise<Identity>;
}

/** Verifies that requests come from the gateway, for this service, now, and for the first time. */
export interface Verifier {
  /**
   * Everything that can be said before the body is read, so that no stranger's body is buffered.
   *
   * @throws IdentityRefused, IdentityUnavailable
   */
  verifyHead(head: RequestHead): Promise<VerifiedHead>;
  /**
   * The whole request at once.
   *
   * @throws IdentityRefused, IdentityUnavailable
   */
  verify(request: RequestHead & Readonly<{ body?: Uint8Array }>): Promise<Identity>;
}

/**
 * A verifier for one audience. What it must know is required: there is no default key, and no trust on first use.
 *
 * @throws RangeError on an audience or bounds outside the contract.
 * @see docs/identity-contract.md
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { audience, keys, replay, toleranceSec = 5, maxLifetimeSec = 60, nowMs = Date.now } = options;
  if (!id.matches(audience)) throw new RangeError('audience is outside the identity contract');
  if (!(toleranceSec >= 0 && toleranceSec <= 60)) throw new RangeError('toleranceSec must be from 0 to 60');
  if (!(maxLifetimeSec > 0 && maxLifetimeSec <= 300)) throw new RangeError('maxLifetimeSec must be from 1 to 300');
  const rules: FreshnessRules = { toleranceSec, maxLifetimeSec };
  const nowSec = () => Math.floor(nowMs() / 1000);

  async function verifyHead(head: RequestHead): Promise<VerifiedHead> {
    const target = splitTarget(head.method, head.target);
    const { values: headers, hasBody } = parseRawHeaders(head.rawHeaders);
    const signature = readSignature(headers, identityTag);
    const unverified = parseIdentityHeaders(headers);
    assertUpgradeIsGet(head.method, headers);
    const covered = coveredComponents(unverified.covered);
    if (signature.input.list !== covered.list) throw new IdentityRefused('coverage_insufficient');
    if (unverified.audience !== audience) throw new IdentityRefused('audience_mismatch');
    assertFresh(signature.input, nowSec(), rules);
    assertBodyCovered(head, headers, hasBody || head.hasBody === true);
    const key = await keys.lookup(signature.input.keyid);
    assertSignature(key, signature, componentLines(covered.names, componentReader(head.method, target, headers)));

    const expected = headers.get('content-digest');
    return {
      needsBody: expected !== undefined,
      async complete(body = emptyBody) {
        // Over HTTP/2 a body may come without any header that announces it.
        if (body.byteLength > 0) assertBodyCovered(head, headers, true);
        if (expected !== undefined && contentDigest(body) !== expected) {
          throw new IdentityRefused('content_digest_mismatch');
        }
        await claimNonce(replay, audience, signature.input, { nowSec: nowSec(), rules });
        return unverified.identity;
      },
    };
  }

  return {
    verifyHead,
    verify: async (request) => (await verifyHead(request)).complete(request.body),
  };
}

const emptyBody = new Uint8Array(0);

/** A WebSocket begins with GET (RFC 6455 section 4.1); the gateway upgrades nothing else. */
function assertUpgradeIsGet(method: string, headers: ReadonlyMap<string, string>): void {
  if (headers.has('upgrade') && method !== 'GET') throw new IdentityRefused('header_malformed', 'upgrade');
}

function assertBodyCovered(head: RequestHead, headers: ReadonlyMap<string, string>, hasBody: boolean): void {
  if (headers.has('content-digest')) {
    // The digest covers the coded bytes, but not the coding: a parser that decodes would read bytes that were never signed.
    const coding = headers.get('content-encoding')?.toLowerCase() ?? 'identity';
    if (hasBody && coding !== 'identity') throw new IdentityRefused('header_malformed', 'content-encoding');
    return;
  }
  if (head.stream === true) return;
  const bodiless = head.method === 'GET' || head.method === 'HEAD';
  if (!bodiless || hasBody) throw new IdentityRefused('content_digest_missing');
}
