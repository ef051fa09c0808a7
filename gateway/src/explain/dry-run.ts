import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { METHODS } from 'node:http';
import { Readable } from 'node:stream';
import { foldHeaderName, isReservedHeader, newRequestId, secretKeyid } from '@countersign/identity';
import { tokenHeadersOf } from '@countersign/proxy-config';
import type { GatewayConfig, Upstream } from '../config/config.ts';
import { AppError, type Code } from '../errors.ts';
import { hopByHop } from '../http/header-fields.ts';
import { type GatewayTokenKey, newKeyFile, parseTokenKey } from '../keys/key-files.ts';
import { noSignatures, type Repeat } from '../keys/signing-keys.ts';
import { BodyMemory, HeldBody } from '../limits/body-memory.ts';
import { toAuthenticated } from '../pipeline/authenticate.ts';
import { configuredStages } from '../pipeline/configured-stages.ts';
import { type Arrival, Exchange, type Matched, type RawRequest, type Signed } from '../pipeline/exchange.ts';
import { createIdentityTokens } from '../pipeline/identity-token.ts';
import { createLimit } from '../pipeline/limit.ts';
import { createPipeline, type Stages } from '../pipeline/pipeline.ts';
import { RequestRecord } from '../pipeline/request-record.ts';
import { createSign } from '../pipeline/sign.ts';
import { evaluatePolicy, type Verdict } from '../routing/policy.ts';
import { createRouteTable, routesOn } from '../routing/route-table.ts';
import { callerOf, machineRefusal, type Requester } from './callers.ts';

export type Header = [name: string, value: string];

/** A request and its caller. Services call the internal listener; all other callers call the public one. */
export type DryRequest = Requester &
  Readonly<{
    method: string;
    requestTarget: string;
    headers?: readonly Header[];
    refusedToken?: ExplainedRefusal | undefined;
  }>;

/** `why` explains the refusal. It is empty if the code says enough. */
export type ExplainedRefusal = Readonly<{ code: Code; why: string }>;

export const stageNames = [
  'sanitize',
  'own answers',
  'match',
  'authenticate',
  'authorize',
  'limit',
  'sign',
  'forward',
] as const;
type StageName = (typeof stageNames)[number];

/** What happens to a request, apart from limits, bodies and services. */
export type DryRun = Awaited<ReturnType<ReturnType<typeof createDryRun>>>;

/**
 * Runs requests through a configuration's pipeline, up to the point where the gateway would forward them. Signs with
 * temporary keys. Values that differ for each request appear as words such as `NONCE`, except the two timestamps.
 */
export function createDryRun(config: GatewayConfig, nowMs: () => number) {
  const listeners = { public: stagesOn('public', config, nowMs), internal: stagesOn('internal', config, nowMs) };
  return async (request: DryRequest) => {
    const { method, service, headers = [] } = request;
    const arrival = exampleArrival(request, config);
    let stage: StageName = 'sanitize';
    const stages = {
      ...listeners[service === undefined ? 'public' : 'internal'],
      authenticate: (matched: Matched) => authenticateAs(matched, request),
    };
    const pipeline = createPipeline(
      noting(stages, (name) => {
        stage = name === 'answerItself' || name === 'checkOrigin' ? 'own answers' : name;
      }),
    );
    const none = { refusal: undefined, allow: null, answered: undefined, sends: undefined, dropped: [] };
    const reached = () => ({
      /** The stage that refused or answered the request; `forward` if none did. */
      stage,
      /** Undefined if a stage refused the request before a route was found. */
      route: config.routes.find(({ name }) => name === arrival.record.route),
      /** The route's rules. Empty if an earlier stage refused the request. */
      rules: rulesOf(arrival),
    });
    try {
      refuseMethod(method);
      const decided = await pipeline(arrival);
      if ('outbound' in decided) {
        stage = 'forward';
        return { ...none, ...reached(), ...sentOf(decided, headers, config) };
      }
      const answered = { status: decided.status, headers: Object.entries(decided.headers).map(readable) };
      return { ...none, ...reached(), answered };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      /** The methods that the path allows, if the request's method is not one of them. */
      const allow = error.headers?.allow?.split(', ') ?? null;
      return { ...none, ...reached(), refusal: { code: error.code as Code, why: whyOf(error) }, allow };
    }
  };
}

// An address reserved for documentation (RFC 5737).
const exampleAddress = '192.0.2.1';

function exampleArrival(
  { method, requestTarget, headers = [] }: DryRequest,
  { publicOrigins }: GatewayConfig,
): Arrival {
  const hasHost = headers.some(([name]) => name.toLowerCase() === 'host');
  const host: readonly Header[] = hasHost ? [] : [['Host', new URL(publicOrigins[0] ?? 'http://gateway').host]];
  const record = new RequestRecord(newRequestId(), method, requestTarget, 0);
  const request: RawRequest = {
    kind: isUpgrade(method, headers) ? 'upgrade' : 'http',
    method,
    requestTarget,
    httpVersion: '1.1',
    rawHeaders: [...host, ...headers].flat(),
    peer: { remoteAddress: exampleAddress },
    // Only the headers describe the body, so no stage waits for its bytes.
    stream: Object.assign(Readable.from([]), { complete: true }),
    interim: undefined,
  };
  const holdBody = () => new HeldBody(new BodyMemory(), { bytes: 0, bytesPerAddress: 0 }, exampleAddress);
  return new Exchange(request, record, () => {}, holdBody);
}

/** Applies the same rule as Node's parser and the listener. */
function isUpgrade(method: string, headers: readonly Header[]): boolean {
  const joined = (name: string) =>
    headers.flatMap(([given, value]) => (given.toLowerCase() === name ? [value.toLowerCase()] : [])).join(', ');
  return (
    method === 'GET' && joined('upgrade') === 'websocket' && /(?:^|,)\s*upgrade\s*(?:,|$)/.test(joined('connection'))
  );
}

/** Node's parser and the listener refuse these methods before the pipeline. */
function refuseMethod(method: string): void {
  if (!METHODS.includes(method)) throw new AppError('invalid_request', { detail: { reason: 'not an HTTP method' } });
  if (method === 'CONNECT') throw new AppError('invalid_target', { detail: { reason: 'only proxies accept CONNECT' } });
}

function whyOf({ code, detail, headers }: AppError): string {
  if (code === 'no_route') return 'no route has this path';
  if (code === 'uri_too_long') return 'too long';
  if (headers?.allow !== undefined) return `this path allows ${headers.allow}`;
  const { reason, header, why } = detail ?? {};
  return [reason, header, why].filter((text) => text !== undefined).join(': ');
}

const rulesOf = ({ policy, params, caller }: Arrival): readonly Verdict[] =>
  policy && params && caller ? evaluatePolicy(policy, params, caller) : [];

function noting(stages: Stages, note: (stage: keyof Stages) => void): Stages {
  const noted = Object.entries(stages).map(([name, stage]) => [
    name,
    (given: never) => {
      note(name as keyof Stages);
      return stage(given);
    },
  ]);
  return Object.fromEntries(noted) as Stages;
}

/** Builds the stages that do not depend on the caller. */
function stagesOn(listener: 'public' | 'internal', config: GatewayConfig, nowMs: () => number) {
  const { sign } = createSign({
    keyFor: throwAwayKey,
    txnTokens: { mint: () => 'TXN.TOKEN.EXAMPLE' },
    identityTokens: createIdentityTokens({
      keys: { tokenKey: () => exampleTokenKey },
      issuer: config.identity.issuer,
      openedOf: () => ({ signatures: noSignatures() }),
    }),
    lifetimeSec: config.identity.lifetimeSec,
    nowMs,
  });
  const configured = configuredStages(listener, config, createRouteTable(listener, routesOn(listener, config)));
  return { ...configured, limit: createLimit(new Map()), sign };
}

/** Authenticates the caller without verifying a token: the claims are known, assumed or refused. */
function authenticateAs(matched: Matched, request: DryRequest) {
  // A public route ignores tokens.
  const isPublic = matched.route.auth === 'public';
  const caller = callerOf(isPublic ? {} : request);
  const refusal = (isPublic ? undefined : request.refusedToken) ?? machineRefusal(caller);
  if (refusal !== undefined) throw new AppError(refusal.code, { detail: { reason: refusal.why } });
  return toAuthenticated(matched, caller, undefined);
}

/** Lists what the upstream receives, and what it does not. `path` excludes the query. */
function sentOf({ outbound, body, kind, path, route }: Signed, given: readonly Header[], config: GatewayConfig) {
  const upgrade: readonly Header[] = [
    ['connection', 'Upgrade'],
    ['upgrade', 'websocket'],
  ];
  const tokenHeader = route.upstream.identity.token?.header;
  const sent = [...pairsOf(outbound.headers), ...(kind === 'upgrade' ? upgrade : [])].map(
    ([name, value]): Header => (name === tokenHeader ? [name, readableToken(value)] : readable([name, value])),
  );
  const passes = ([name, value]: Header) =>
    sent.some(([other, text]) => other.toLowerCase() === name.toLowerCase() && text === value);
  return {
    sends: {
      path,
      requestTarget: outbound.requestTarget,
      // The body is unknown.
      headers: sent.map(
        ([name, value]): Header =>
          name === 'content-digest' && body.present ? [name, 'sha-256=:DIGEST:'] : [name, value],
      ),
    },
    dropped: given.filter((header) => !passes(header)).map(([name]) => ({ name, why: whyDropped(name, config) })),
  };
}

const onlyOurs = 'removed: only the gateway may set it';

function whyDropped(name: string, { headers: { strip }, upstreams }: GatewayConfig): string {
  const folded = foldHeaderName(name);
  if (tokenHeadersOf(upstreams.values()).map(foldHeaderName).includes(folded)) return onlyOurs;
  if (strip.map(foldHeaderName).includes(folded)) return 'headers.strip';
  if (folded === 'authorization' || folded === 'dpop') return "forwarded only if the route's forward allows it";
  if (folded === 'cookie') return 'without cookies that only other routes forward';
  if (folded === 'host' || folded === 'content-length') return 'replaced by the gateway';
  if (hopByHop.has(folded)) return 'hop-by-hop header';
  if (isReservedHeader(folded)) return onlyOurs;
  return 'named in the Connection header';
}

function pairsOf(flat: readonly string[]): Header[] {
  return flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? '']] : []));
}

const exampleTokenKey: GatewayTokenKey = parseTokenKey(newKeyFile('es256', 0).text);

function throwAwayKey({ identity }: Upstream, _nowSec: number, repeat: Repeat) {
  if (identity.algorithm === 'hmac-sha256') {
    return { algorithm: 'hmac-sha256', keyid: secretKeyid(identity.secret), secret: randomBytes(32) } as const;
  }
  // Only running processes know the agreed key.
  if (identity.algorithm === 'agreed' && repeat === 'repeatable') {
    return { algorithm: 'hmac-sha256', keyid: 'GATEWAY-KID.SERVICE-KID', secret: randomBytes(32) } as const;
  }
  return { algorithm: 'ed25519', keyid: 'KEYID', privateKey: generateKeyPairSync('ed25519').privateKey } as const;
}

/** Shows the claims without the signature, which is by a temporary key. */
function readableToken(value: string): string {
  const [, scheme = '', payload = ''] = /^(Bearer )?[^.]*\.([^.]*)/.exec(value) ?? [];
  return `${scheme}JWT ${Buffer.from(payload, 'base64url')}`.replace(/"jti":"[^"]*"/, '"jti":"NONCE"');
}

function readable([name, value]: Header): Header {
  if (name === 'signature') return [name, 'countersign=:SIGNATURE:'];
  if (name === 'x-request-id') return [name, 'REQUEST-ID'];
  if (name === 'txn-token') return [name, 'TXN-TOKEN'];
  return [name, name === 'signature-input' ? value.replace(/;nonce="[^"]*"/, ';nonce="NONCE"') : value];
}
