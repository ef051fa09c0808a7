import type { KeyObject } from 'node:crypto';
import { contentDigest } from '../contract/digest.ts';
import { isMethod, isPath, isQuery, sha256Digest, threePartToken } from '../contract/grammar.ts';
import { IdentityRefused } from '../contract/refusal.ts';
import { componentList, serializeParams, signatureBase, signatureHeaders, signBase } from '../contract/rfc9421.ts';
import type { ReplayStore } from '../replay/replay.ts';
import { pairsOf, type SignOptions } from '../sign/sign.ts';
import { assertFresh, type FreshnessRules } from '../verify/freshness.ts';
import { parseRawHeaders } from '../verify/raw-headers.ts';
import {
  assertSignature,
  claimNonce,
  componentLines,
  componentReader,
  parseSignatureHeaders,
  splitTarget,
} from '../verify/signed-message.ts';
import type { RequestHead } from '../verify/verify.ts';

const serviceTag = 'countersign-service-v1';
/** The gateway as an audience, so that nonces of nested calls are separate from all others. */
const gatewayAudience = 'countersign-gateway';

/** Every nested call has a digest, for every method and for an empty body too. */
const withoutToken = ['@method', '@path', '@query', 'content-digest'];
const withToken = [...withoutToken, 'txn-token'];

/** A service's ed25519 key. gateway.yaml lists its public key under `services`. */
export type ServiceKey = Readonly<{ keyid: string; privateKey: KeyObject }>;

export type ServiceRequest = Readonly<{
  method: string;
  path: string;
  /** Empty, or `?` followed by the query. */
  query: string;
  contentDigest: string;
  /** The txn-token of the request being served. Absent when the service acts for itself. */
  txnToken?: string;
}>;

/**
 * Signs a nested call to the gateway's internal listener, with `tag="countersign-service-v1"`.
 *
 * @returns `content-digest`, `txn-token` if given, `signature-input` and `signature`.
 * @throws RangeError on a value outside the contract.
 */
export function signServiceRequest(
  key: ServiceKey,
  request: ServiceRequest,
  options: SignOptions,
): readonly (readonly [name: string, value: string])[] {
  const { method, path, query, contentDigest: digest, txnToken } = request;
  const inContract =
    isMethod(method) &&
    isPath(path) &&
    isQuery(query) &&
    sha256Digest.matches(digest) &&
    (!txnToken || threePartToken.matches(txnToken));
  if (!inContract) throw new RangeError('the nested call is outside the identity contract');
  const names = txnToken === undefined ? withoutToken : withToken;
  const sent = new Map([['content-digest', digest]]);
  if (txnToken !== undefined) sent.set('txn-token', txnToken);
  const rawParams = serializeParams(componentList(names), {
    createdSec: options.createdSec,
    expiresSec: options.createdSec + options.lifetimeSec,
    nonce: options.nonce,
    keyid: key.keyid,
    algorithm: 'ed25519',
    tag: serviceTag,
  });
  const base = signatureBase(componentLines(names, componentReader(method, { path, query }, sent)), rawParams);
  const signature = signBase({ algorithm: 'ed25519', ...key }, base).toString('base64');
  return [...sent, ...pairsOf(signatureHeaders(rawParams, signature))];
}

export type ServiceVerifierOptions = Readonly<{
  /** Finds the service and public key of a keyid in gateway.yaml. Each keyid belongs to one service. */
  findKey: (keyid: string) => Readonly<{ serviceId: string; publicKey: KeyObject }> | undefined;
  replay: ReplayStore;
  toleranceSec?: number;
  maxLifetimeSec?: number;
  nowMs?: () => number;
}>;

/** A nested call whose signature is valid. */
export type VerifiedServiceHead = Readonly<{
  serviceId: string;
  /**
   * Covered by the signature but not yet verified. The gateway checks that it issued the token, to this service, and
   * that it is current.
   */
  txnToken: string | undefined;
  /**
   * Checks the digest and claims the nonce.
   *
   * @param notBeforeSec A second, by this verifier's clock, before which the call cannot have existed: when its
   *   txn-token was issued. Default: `created` minus the tolerance, because the service's clock may be ahead by that
   *   much.
   * @throws IdentityRefused `content_digest_mismatch`, `replayed`, `created_before_start` or `expired`;
   *   IdentityUnavailable.
   */
  complete(body: Uint8Array, notBeforeSec?: number): Promise<void>;
}>;

/** Creates the gateway's verifier of nested calls. */
export function createServiceVerifier(options: ServiceVerifierOptions): {
  /** @throws IdentityRefused, IdentityUnavailable */
  verifyHead(head: Pick<RequestHead, 'method' | 'target' | 'rawHeaders'>): VerifiedServiceHead;
} {
  const { findKey, replay, toleranceSec = 5, maxLifetimeSec = 60, nowMs = Date.now } = options;
  const rules: FreshnessRules = { toleranceSec, maxLifetimeSec };
  const nowSec = () => Math.floor(nowMs() / 1000);
  return {
    verifyHead({ method, target, rawHeaders }) {
      const split = splitTarget(method, target);
      const headers = parseRawHeaders(rawHeaders).values;
      const signature = parseSignatureHeaders(headers, serviceTag);
      const txnToken = headers.get('txn-token');
      const digest = headers.get('content-digest');
      if (digest === undefined) throw new IdentityRefused('content_digest_missing');
      if (!sha256Digest.matches(digest)) throw new IdentityRefused('header_malformed', 'content-digest');
      if (txnToken !== undefined && !threePartToken.matches(txnToken))
        throw new IdentityRefused('header_malformed', 'txn-token');
      const names = txnToken === undefined ? withoutToken : withToken;
      if (signature.input.list !== componentList(names)) throw new IdentityRefused('coverage_insufficient');
      assertFresh(signature.input, nowSec(), rules);
      const key = findKey(signature.input.keyid);
      if (key === undefined) throw new IdentityRefused('key_unknown');
      const { publicKey, serviceId } = key;
      assertSignature(
        { algorithm: 'ed25519', publicKey },
        signature,
        componentLines(names, componentReader(method, split, headers)),
      );
      return {
        serviceId,
        txnToken,
        async complete(body, notBeforeSec = Number.NEGATIVE_INFINITY) {
          if (contentDigest(body) !== digest) throw new IdentityRefused('content_digest_mismatch');
          const { input } = signature;
          // The call may have been accepted from this second on. A replay memory that began later cannot know.
          const earliestUseSec = Math.max(input.createdSec - toleranceSec, notBeforeSec);
          await claimNonce(replay, gatewayAudience, input, { nowSec: nowSec(), rules, earliestUseSec });
        },
      };
    },
  };
}
