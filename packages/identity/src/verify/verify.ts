import { coveredComponents, identityTag } from '../contract/contract.ts';
import { contentDigest } from '../contract/digest.ts';
import { id } from '../contract/grammar.ts';
import type { Identity } from '../contract/identity.ts';
import { IdentityRefused } from '../contract/refusal.ts';
import { createKeyLookup } from '../keys/agreed-lookup.ts';
import { type AgreementKeys, type AgreementOptions, openAgreementKeys } from '../keys/agreement-keys.ts';
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
  isReadMethod,
  parseSignatureHeaders,
  splitRequestTarget,
} from './signed-message.ts';

export type VerifierOptions = Readonly<{
  /** This service's name in gateway.yaml. A request signed for another service is refused. */
  audience: string;
  keys: GatewayKeys;
  replay: ReplayStore;
  /**
   * Also accept keys that this service and the gateway derive from published keys (`algorithm: agreed` in
   * gateway.yaml): `memory` for a service with one process, or the path of a directory for several. The adapters
   * publish this service's keys. Default: none.
   */
  agreement?: AgreementOptions | string;
  /** Allowed clock skew in either direction, in seconds, from 0 to 60. Default 5. */
  toleranceSec?: number;
  /** Largest accepted `expires - created`, in seconds, from 1 to 300. Default 60. */
  maxLifetimeSec?: number;
  nowMs?: () => number;
}>;

export type RequestHead = Readonly<{
  method: string;
  /** The raw request target: path and query as received, before a router or framework changed them. */
  target: string;
  /** Alternating names and values, as received. */
  rawHeaders: readonly string[];
  /** Whether there is a body, for adapters that know this without reading the headers (HTTP/2). */
  hasBody?: boolean;
  /** Accept a body without a digest (`body: { mode: stream }`). Only the service's own code can set this. */
  stream?: boolean;
}>;

/** A request head whose signature is valid. The request itself is valid only after `complete` resolves. */
export type VerifiedHead = Awaited<ReturnType<Verifier['verifyHead']>>;

/** Verifies that the gateway recently signed this request for this service, and that it is not a replay. */
export type Verifier = Readonly<ReturnType<typeof createVerifier>>;

/**
 * Creates a verifier for one audience. There is no default key and no trust on first use.
 *
 * @throws RangeError if the audience or a limit is not allowed by the contract, or a key for agreement is in memory
 *   while several instances share the replay store. Error if the directory of keys cannot be used.
 * @see https://github.com/countersign/countersign/blob/main/docs/identity-contract.md
 */
export function createVerifier(options: VerifierOptions) {
  const { audience, keys, replay, toleranceSec = 5, maxLifetimeSec = 60, nowMs = Date.now } = options;
  if (!id.matches(audience)) throw new RangeError('audience is not a valid service name');
  if (!(toleranceSec >= 0 && toleranceSec <= 60)) throw new RangeError('toleranceSec must be between 0 and 60');
  if (!(maxLifetimeSec >= 1 && maxLifetimeSec <= 300)) throw new RangeError('maxLifetimeSec must be between 1 and 300');
  const agreement = options.agreement === undefined ? undefined : openAgreement(options.agreement, options);
  const lookup = createKeyLookup({ audience, keys, agreement });
  const rules: FreshnessRules = { toleranceSec, maxLifetimeSec };
  const nowSec = () => Math.floor(nowMs() / 1000);

  async function verifyHead(head: RequestHead) {
    const target = splitRequestTarget(head.method, head.target);
    const { values: headers, hasBody } = parseRawHeaders(head.rawHeaders);
    const signature = parseSignatureHeaders(headers, identityTag);
    const { identity, audience: signedAudience, covered: mask } = parseIdentityHeaders(headers);
    assertUpgradeIsGet(head.method, headers);
    const covered = coveredComponents(mask);
    if (signature.input.list !== covered.list) throw new IdentityRefused('coverage_insufficient');
    if (signedAudience !== audience) throw new IdentityRefused('audience_mismatch');
    assertFresh(signature.input, nowSec(), rules);
    const expected = headers.get('content-digest');
    assertBodyCovered(head, headers, expected, hasBody || head.hasBody === true);
    const key = await lookup(signature.input.keyid);
    assertSignature(key, signature, componentLines(covered.names, componentReader(head.method, target, headers)));

    const isRead = isReadMethod(head.method) && !headers.has('upgrade');
    return {
      /** Whether `complete` needs the whole body. */
      needsBody: expected !== undefined,
      /** Checks the digest and claims the nonce. @throws IdentityRefused, IdentityUnavailable */
      async complete(body: Uint8Array = emptyBody): Promise<Identity> {
        // Over HTTP/2 a body may arrive without any header announcing it.
        if (body.byteLength > 0) assertBodyCovered(head, headers, expected, true);
        if (expected !== undefined && contentDigest(body) !== expected) {
          throw new IdentityRefused('content_digest_mismatch');
        }
        await claimNonce(replay, audience, signature.input, { nowSec: nowSec(), rules, isRead });
        return identity;
      },
    };
  }

  return {
    /** This service's keys for agreement. The adapters publish them at `/.well-known/jwks.json`. */
    agreement,
    /**
     * Verifies everything that does not need the body, so that a service never buffers the body of an unsigned request.
     *
     * @throws IdentityRefused, IdentityUnavailable
     */
    verifyHead,
    /** Verifies a whole request. @throws IdentityRefused, IdentityUnavailable */
    verify: async (request: RequestHead & Readonly<{ body?: Uint8Array }>) =>
      (await verifyHead(request)).complete(request.body),
  };
}

function openAgreement(given: AgreementOptions | string, { audience, replay, nowMs }: VerifierOptions): AgreementKeys {
  const options = typeof given === 'string' ? { keys: given } : given;
  if (options.keys === 'memory' && replay.isShared === true) {
    throw new RangeError('keys for agreement in memory are for one instance, but several share this replay store');
  }
  return openAgreementKeys(options, audience, nowMs);
}

const emptyBody = new Uint8Array(0);

/** A WebSocket handshake is a GET (RFC 6455 section 4.1), and the gateway upgrades nothing else. */
function assertUpgradeIsGet(method: string, headers: ReadonlyMap<string, string>): void {
  if (headers.has('upgrade') && method !== 'GET') throw new IdentityRefused('header_malformed', 'upgrade');
}

/** @param digest The signed digest of the body. */
export function assertBodyCovered(
  head: RequestHead,
  headers: ReadonlyMap<string, string>,
  digest: string | undefined,
  hasBody: boolean,
): void {
  if (digest !== undefined) {
    // The digest covers the encoded bytes but not the encoding: a parser would read bytes that were never signed.
    const coding = headers.get('content-encoding')?.toLowerCase() ?? 'identity';
    if (hasBody && coding !== 'identity') throw new IdentityRefused('header_malformed', 'content-encoding');
    return;
  }
  if (head.stream === true) return;
  if (!isReadMethod(head.method) || hasBody) throw new IdentityRefused('content_digest_missing');
}
