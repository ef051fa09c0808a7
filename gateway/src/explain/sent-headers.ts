import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { METHODS } from 'node:http';
import { secretKeyid } from '@countersign/identity';
import type { GatewayConfig, Upstream } from '../config/config.ts';
import { AppError, type Code } from '../errors.ts';
import type { Repeat } from '../keys/signing-keys.ts';
import { toAuthenticated } from '../pipeline/authenticate.ts';
import { authorize } from '../pipeline/authorize.ts';
import { createCors, createUpgradeOrigin } from '../pipeline/cors.ts';
import type { Matched, Signed } from '../pipeline/exchange.ts';
import { whyDropped } from '../pipeline/inbound-headers.ts';
import { createLimit } from '../pipeline/limit.ts';
import { createMatch } from '../pipeline/match.ts';
import { createOwnAnswers } from '../pipeline/own-answers.ts';
import { createPipeline } from '../pipeline/pipeline.ts';
import { createResourceMetadata } from '../pipeline/resource-metadata.ts';
import { createSanitize } from '../pipeline/sanitize.ts';
import { createSign } from '../pipeline/sign.ts';
import { compileRoutes } from '../routing/route-table.ts';
import { refusedEarlier, whyMachineRefused } from './assumed-caller.ts';
import type { Question } from './dry-run.ts';
import { type AcceptedToken, exampleArrival, exampleCaller, type Header } from './example-request.ts';

/** The headers that the service would get, and the request headers that the gateway drops. */
export type Sent = Readonly<{
  headers: readonly Header[];
  dropped: readonly Readonly<{ name: string; why: string }>[];
}>;

/** The gateway answers itself, with this status and these headers. */
export type Answered = Readonly<{ status: number; answered: readonly Header[] }>;
/** `stage`: the stage that refused it, by its name in {@link Stages}; `parser` before them. */
export type RefusedRequest = Readonly<{ refusal: Code; why: string; stage: string }>;

/**
 * Runs a request through the pipeline up to the point where it would be forwarded. Signs with a temporary key. Values that differ for each
 * request are shown as words such as `NONCE`, except the two timestamps.
 *
 * @param accepted The caller's token, if its claims are known.
 * @returns The error code when a stage refuses the request.
 */
export async function sentHeaders(
  config: GatewayConfig,
  question: Question,
  headers: readonly Header[],
  nowMs: number,
  accepted?: AcceptedToken,
): Promise<Sent | Answered | RefusedRequest> {
  const unparsed = refusedMethod(question.method);
  if (unparsed !== undefined) return unparsed;
  let stage = 'parser';
  const pipeline = createPipeline(
    noting(stagesFor(config, question, nowMs, accepted), (name) => {
      stage = name;
    }),
  );
  try {
    const decided = await pipeline(exampleArrival(question, headers, config));
    if ('outbound' in decided) return sentOf(decided, headers, config);
    return { status: decided.status, answered: Object.entries(decided.headers).map(readable) };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { reason, header } = error.detail ?? {};
    const why = [reason, header].filter((text) => text !== undefined).join(': ');
    return { refusal: error.code as Code, why, stage };
  }
}

/** Node's parser and the listener refuse these methods before the pipeline. */
function refusedMethod(method: string): RefusedRequest | undefined {
  if (!METHODS.includes(method)) return { refusal: 'invalid_request', why: 'no method of HTTP', stage: 'parser' };
  return method === 'CONNECT'
    ? { refusal: 'invalid_target', why: 'CONNECT is for proxies', stage: 'parser' }
    : undefined;
}

/** Reports the name of each stage before it runs. */
function noting<All extends Readonly<Record<string, unknown>>>(stages: All, note: (stage: string) => void): All {
  const entries = Object.entries(stages).map(([name, stage]) => {
    if (typeof stage !== 'function') return [name, stage];
    const noted = (...given: unknown[]) => {
      note(name);
      return stage(...given);
    };
    return [name, noted];
  });
  return Object.fromEntries(entries) as All;
}

function stagesFor(config: GatewayConfig, { caller }: Question, nowMs: number, accepted: AcceptedToken | undefined) {
  const isNested = caller.kind === 'service';
  const table = compileRoutes(isNested ? 'internal' : 'public', config);
  const metadata = isNested ? undefined : createResourceMetadata(config, table);
  const methodsAt = (path: string) => metadata?.methodsAt(path) ?? table.methodsAt(path);
  return {
    sanitize: createSanitize(isNested ? { headers: config.headers, publicOrigins: [], trustedProxies: [] } : config),
    answerItself: createOwnAnswers({
      cors: isNested ? undefined : config.cors && createCors(config.cors, { methodsAt }),
      metadata,
    }),
    checkOrigin: isNested ? () => {} : createUpgradeOrigin(config),
    match: createMatch(table),
    authenticate(matched: Matched) {
      // A public route ignores tokens.
      const seen = matched.route.auth === 'public' ? ({ kind: 'anonymous' } as const) : caller;
      const earlier = refusedEarlier(seen, config);
      if (earlier !== undefined) throw new AppError(earlier, { detail: { reason: whyMachineRefused } });
      return toAuthenticated(matched, exampleCaller(seen, config, Math.floor(nowMs / 1000), accepted), undefined);
    },
    authorize,
    limit: createLimit(new Map()),
    sign: createSign({
      keyFor: throwAwayKey,
      txnTokens: { mint: () => 'TXN.TOKEN.EXAMPLE' },
      lifetimeSec: config.identity.lifetimeSec,
      nowMs: () => nowMs,
    }).sign,
  };
}

function sentOf({ outbound, body, kind }: Signed, given: readonly Header[], { headers }: GatewayConfig): Sent {
  const upgrade: readonly Header[] = [
    ['connection', 'Upgrade'],
    ['upgrade', 'websocket'],
  ];
  const sent = [...pairsOf(outbound.headers), ...(kind === 'upgrade' ? upgrade : [])].map(readable);
  const passes = ([name, value]: Header) =>
    sent.some(([other, text]) => other.toLowerCase() === name.toLowerCase() && text === value);
  return {
    // The bytes of the body are unknown.
    headers: sent.map(([name, value]) =>
      name === 'content-digest' && body.present ? [name, 'sha-256=:DIGEST:'] : [name, value],
    ),
    dropped: given
      .filter((header) => !passes(header))
      .map(([name]) => ({ name, why: whyDropped(name, headers.strip) })),
  };
}

function pairsOf(flat: readonly string[]): Header[] {
  return flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ''] as const] : []));
}

function throwAwayKey({ identity }: Upstream, _nowSec: number, repeat: Repeat) {
  if (identity.algorithm === 'hmac-sha256') {
    return { algorithm: 'hmac-sha256', keyid: secretKeyid(identity.secret), secret: randomBytes(32) } as const;
  }
  // Which keys both sides agree on is known only while they run.
  if (identity.algorithm === 'agreed' && repeat === 'repeatable') {
    return { algorithm: 'hmac-sha256', keyid: 'GATEWAY-KID.SERVICE-KID', secret: randomBytes(32) } as const;
  }
  return { algorithm: 'ed25519', keyid: 'KEYID', privateKey: generateKeyPairSync('ed25519').privateKey } as const;
}

function readable([name, value]: Header): Header {
  if (name === 'signature') return [name, 'countersign=:SIGNATURE:'];
  if (name === 'x-request-id') return [name, 'REQUEST-ID'];
  if (name === 'txn-token') return [name, 'TXN-TOKEN'];
  return [name, name === 'signature-input' ? value.replace(/;nonce="[^"]*"/, ';nonce="NONCE"') : value];
}
