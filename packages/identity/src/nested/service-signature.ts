import type { KeyObject } from 'node:crypto';
import { type CoveredMask, coveredComponents, coveredRules } from '../contract/contract.ts';
import { contentDigest } from '../contract/digest.ts';
import { isMethod, isPath, isQuery } from '../contract/grammar.ts';
import { IdentityRefused, type RefusalReason } from '../contract/refusal.ts';
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
  isReadMethod,
  parseSignatureHeaders,
  splitRequestTarget,
} from '../verify/signed-message.ts';
import type { RequestHead } from '../verify/verify.ts';

/** The form of a nested call. Gateways of the previous version accept only `previous`, which names no gateway. */
export type ServiceForm = 'current' | 'previous';

const serviceTag = 'countersign-service-v2';
const previousTag = 'countersign-service-v1';

/** The name of a gateway whose gateway.yaml has no `identity.name`. */
export const defaultGatewayName = 'countersign-gateway';

/** Nonces of nested calls are stored under this audience, because both forms of a call have the same nonce. */
const nonceAudience = defaultGatewayName;

/** The headers that a nested call may have, in the order of the contract, with their bits in a CoveredMask. */
const callRules = coveredRules
  .map((rule, index) => ({ ...rule, bit: 1 << index }))
  .filter(({ name }) => ['x-identity-audience', 'txn-token', 'content-type', 'content-digest'].includes(name));
/** Every nested call has a digest, for every method and for an empty body too. */
const whenMissing: Readonly<Record<string, RefusalReason>> = {
  'x-identity-audience': 'header_missing',
  'content-digest': 'content_digest_missing',
};

/** A service's ed25519 key. gateway.yaml lists its public key under `services`. */
export type ServiceKey = Readonly<{ keyid: string; privateKey: KeyObject }>;

export type ServiceRequest = Readonly<{
  /** The name of the called gateway: `identity.name` of its gateway.yaml. */
  audience: string;
  method: string;
  path: string;
  /** Empty, or `?` followed by the query. */
  query: string;
  contentDigest: string;
  /** The `Content-Type` exactly as it is sent. Absent when none is sent. */
  contentType?: string | undefined;
  /** The txn-token from the request that the service handles. Absent if the service acts for itself. */
  txnToken?: string | undefined;
}>;

/**
 * Signs a nested call to the gateway's internal listener, with `tag="countersign-service-v2"`.
 *
 * @returns `x-identity-audience`, `txn-token` if given, `content-digest`, `signature-input` and `signature`.
 *   Content-Type is covered but not returned, because the request already has it.
 * @throws RangeError on a value outside the contract.
 */
export function signServiceRequest(
  key: ServiceKey,
  request: ServiceRequest,
  options: SignOptions,
  form: ServiceForm = 'current',
): readonly (readonly [name: string, value: string])[] {
  const { method, path, query } = request;
  const values = new Map<string, string>();
  let mask = 0;
  let inContract = isMethod(method) && isPath(path) && isQuery(query);
  for (const { name, grammar, bit } of callRules) {
    const value = headerOf(request, name);
    if (value === undefined) continue;
    inContract &&= grammar.matches(value);
    values.set(name, value);
    mask |= bit;
  }
  if (!inContract) throw new RangeError('the nested call is outside the identity contract');
  const names = form === 'current' ? coveredComponents(mask).names : previousNames(request);
  const rawParams = serializeParams(componentList(names), {
    createdSec: options.createdSec,
    expiresSec: options.createdSec + options.lifetimeSec,
    nonce: options.nonce,
    keyid: key.keyid,
    algorithm: 'ed25519',
    tag: form === 'current' ? serviceTag : previousTag,
  });
  const base = signatureBase(componentLines(names, componentReader(method, { path, query }, values)), rawParams);
  const signature = signBase({ algorithm: 'ed25519', ...key }, base).toString('base64');
  values.delete('content-type');
  return [...values, ...pairsOf(signatureHeaders(rawParams, signature))];
}

function headerOf(request: ServiceRequest, name: string): string | undefined {
  if (name === 'x-identity-audience') return request.audience;
  if (name === 'txn-token') return request.txnToken;
  return name === 'content-type' ? request.contentType : request.contentDigest;
}

function previousNames({ txnToken }: ServiceRequest): readonly string[] {
  const always = ['@method', '@path', '@query', 'content-digest'];
  return txnToken === undefined ? always : [...always, 'txn-token'];
}

export type ServiceVerifierOptions = Readonly<{
  /** The gateway's own name. A call to another gateway is refused. */
  audience: string;
  /** Finds the service and public key of a keyid in gateway.yaml. Each keyid belongs to one service. */
  findKey: (keyid: string) => Readonly<{ serviceId: string; publicKey: KeyObject }> | undefined;
  replay: ReplayStore;
  toleranceSec?: number;
  maxLifetimeSec?: number;
  nowMs?: () => number;
}>;

/** A nested call whose signature is valid. */
export type VerifiedServiceHead = Readonly<ReturnType<ReturnType<typeof createServiceVerifier>['verifyHead']>>;

/** Creates the gateway's verifier of nested calls. */
export function createServiceVerifier(options: ServiceVerifierOptions) {
  const { audience, findKey, replay, toleranceSec = 5, maxLifetimeSec = 60, nowMs = Date.now } = options;
  const rules: FreshnessRules = { toleranceSec, maxLifetimeSec };
  const nowSec = () => Math.floor(nowMs() / 1000);
  return {
    /** @throws IdentityRefused, IdentityUnavailable */
    verifyHead({ method, target, rawHeaders }: Pick<RequestHead, 'method' | 'target' | 'rawHeaders'>) {
      const split = splitRequestTarget(method, target);
      const headers = parseRawHeaders(rawHeaders).values;
      const signature = parseSignatureHeaders(headers, serviceTag);
      const { names, list } = coveredComponents(maskOf(headers));
      if (signature.input.list !== list) throw new IdentityRefused('coverage_insufficient');
      if (headers.get('x-identity-audience') !== audience) throw new IdentityRefused('audience_mismatch');
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
        /** Covered by the signature, but not yet verified: the gateway checks that it issued it to this service. */
        txnToken: headers.get('txn-token'),
        /**
         * Checks the digest and claims the nonce.
         *
         * @param notBeforeSec A second, by this verifier's clock, before which the call cannot have existed: when its
         *   txn-token was issued. Default: `created` minus the tolerance, because the service's clock may be ahead by
         *   that much.
         * @throws IdentityRefused `content_digest_mismatch`, `replayed`, `created_before_start` or `expired`;
         *   IdentityUnavailable.
         */
        async complete(body: Uint8Array, notBeforeSec = Number.NEGATIVE_INFINITY): Promise<void> {
          if (contentDigest(body) !== headers.get('content-digest'))
            throw new IdentityRefused('content_digest_mismatch');
          const { input } = signature;
          // The call may have been accepted from this second on. A replay memory that started later cannot tell.
          const earliestUseSec = Math.max(input.createdSec - toleranceSec, notBeforeSec);
          const isRead = isReadMethod(method) && !headers.has('upgrade');
          await claimNonce(replay, nonceAudience, input, { nowSec: nowSec(), rules, isRead, earliestUseSec });
        },
      };
    },
  };
}

/** Checks the headers of a call, and returns those that its signature must cover. */
function maskOf(headers: ReadonlyMap<string, string>): CoveredMask {
  let mask = 0;
  for (const { name, grammar, bit } of callRules) {
    const value = headers.get(name);
    const reason = value === undefined ? whenMissing[name] : !grammar.matches(value) && 'header_malformed';
    if (reason) throw new IdentityRefused(reason, name);
    if (value !== undefined) mask |= bit;
  }
  return mask;
}
