import type { KeyObject } from 'node:crypto';
import { contentDigest } from '../contract/digest.ts';
import { isMethod, isPath, isQuery, sha256Digest, threePartToken } from '../contract/grammar.ts';
import { IdentityRefused } from '../contract/refusal.ts';
import { componentList, serializeParams, signatureBase, signatureHeaders } from '../contract/rfc9421.ts';
import { signBase } from '../keys/keys.ts';
import type { ReplayStore } from '../replay/replay.ts';
import type { SignOptions } from '../sign/sign.ts';
import { assertFresh, type FreshnessRules } from '../verify/freshness.ts';
import { parseRawHeaders } from '../verify/raw-headers.ts';
import {
  assertSignature,
  claimNonce,
  componentLines,
  componentReader,
  readSignature,
  splitTarget,
} from '../verify/signed-message.ts';
import type { RequestHead } from '../verify/verify.ts';

const serviceTag = 'countersign-service-v1';
/** The gateway as the receiver: nonces of nested calls are kept apart from all others. */
const gatewayAudience = 'countersign-gateway';

/** Always with a digest, of the empty body too, whatever the method. */
const withoutUser = ['@method', '@path', '@query', 'content-digest'];
const withUser = [...withoutUser, 'txn-token'];

/** A service's own ed25519 key, whose public half gateway.yaml names under `services`. */
export type ServiceKey = Readonly<{ keyid: string; privateKey: KeyObject }>;

export type ServiceRequest = Readonly<{
  method: string;
  path: string;
  /** Empty, or `?` and what follows it. */
  query: string;
  contentDigest: string;
  /** What the service was handed with the request it is working on; absent: it acts for no user. */
  txnToken?: string;
}>;

/**
 * Signs a nested call to the gateway's internal listener, with `tag="countersign-service-v1"`.
 *
 * @returns `txn-token` where given, `content-digest`, `signature-input` and `signature`.
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
  const names = txnToken === undefined ? withoutUser : withUser;
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
  return [...sent, ...signatureHeaders(rawParams, signBase({ algorithm: 'ed25519', ...key }, base))];
}

export type ServiceVerifierOptions = Readonly<{
  /** Whose key this is, from gateway.yaml; a keyid belongs to one service. */
  findKey: (keyid: string) => Readonly<{ serviceId: string; publicKey: KeyObject }> | undefined;
  replay: ReplayStore;
  toleranceSec?: number;
  maxLifetimeSec?: number;
  nowMs?: () => number;
}>;

/** A nested call whose signature holds. */
export type VerifiedServiceHead = Readonly<{
  serviceId: string;
  /** Signed by the service, not yet read: the gateway checks that it is one of its own, alive, and handed to this service. */
  txnToken: string | undefined;
  /**
   * Compares the digest and uses up the nonce.
   *
   * @param notBeforeSec A second, by this verifier's clock, in which the call cannot have existed yet: when its txn-token was issued.
   *   Without it `created` less the tolerance is taken, since the service's clock may be ahead by that much.
   * @throws IdentityRefused `content_digest_mismatch`, `replayed`, `created_before_start`, `expired`.
   */
  complete(body: Uint8Array, notBeforeSec?: number): Promise<void>;
}>;

/** The gateway's side of a nested call. */
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
      const signature = readSignature(headers, serviceTag);
      const txnToken = headers.get('txn-token');
      const digest = headers.get('content-digest');
      if (digest === undefined) throw new IdentityRefused('content_digest_missing');
      if (!sha256Digest.matches(digest)) throw new IdentityRefused('header_malformed', 'content-digest');
      if (txnToken !== undefined && !threePartToken.matches(txnToken))
        throw new IdentityRefused('header_malformed', 'txn-token');
      const names = txnToken === undefined ? withoutUser : withUser;
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
          // The call may have been accepted from here on: a memory that began later cannot know whether it was.
          const earliestUseSec = Math.max(input.createdSec - toleranceSec, notBeforeSec);
          await claimNonce(replay, gatewayAudience, input, { nowSec: nowSec(), rules, earliestUseSec });
        },
      };
    },
  };
}
