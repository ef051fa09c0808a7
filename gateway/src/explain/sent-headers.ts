import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { secretKeyid } from '@countersign/identity';
import type { GatewayConfig, Upstream } from '../config/config.ts';
import { AppError, type Code } from '../errors.ts';
import type { Header } from '../exchange.ts';
import type { Question } from '../routing/decide.ts';
import { compileRoutes, routesOn } from '../routing/route-table.ts';
import { asCaller } from '../stages/as-caller.ts';
import { authorize } from '../stages/authorize.ts';
import { whyDropped } from '../stages/inbound-headers.ts';
import { createLimit } from '../stages/limit.ts';
import { createMatch } from '../stages/match.ts';
import { createSanitize } from '../stages/sanitize.ts';
import { createSign } from '../stages/sign.ts';
import { exampleArrival, exampleCaller } from './example-request.ts';

/** What goes upstream with a request, and which of its headers do not. */
export type Sent = Readonly<{
  headers: readonly Header[];
  dropped: readonly Readonly<{ name: string; why: string }>[];
}>;

/**
 * Takes a request through the stages that serve, from `sanitize` to `sign`, with a key that was made for this and is thrown away. What
 * differs each time is written as a word.
 *
 * @returns The code of the stage that refuses it, where a header does that.
 */
export async function sentHeaders(
  config: GatewayConfig,
  question: Question,
  headers: readonly Header[],
  nowMs: number,
): Promise<Sent | Readonly<{ refusal: Code; why: string }>> {
  const isNested = question.caller.kind === 'service';
  const routes = routesOn(isNested ? 'internal' : 'public', config);
  const sanitize = createSanitize(
    isNested ? { headers: config.headers, publicOrigins: [], trustedProxies: [] } : config,
  );
  const match = createMatch(compileRoutes(routes));
  const limit = createLimit(routes, () => ({ take: async () => ({ allowed: true, remaining: 0, resetSec: 1 }) }));
  const { sign } = createSign({
    keyFor: throwAwayKey,
    txnTokens: { mint: () => 'TXN.TOKEN.EXAMPLE' },
    lifetimeSec: config.identity.lifetimeSec,
    nowMs: () => nowMs,
  });
  try {
    const matched = match(sanitize(exampleArrival(question, headers, config)));
    // A public route does not look at tokens.
    const asked = matched.route.auth === 'public' ? ({ kind: 'anonymous' } as const) : question.caller;
    const caller = exampleCaller(asked, config, Math.floor(nowMs / 1000));
    const { outbound } = await sign(await limit(authorize(asCaller(matched, caller, undefined))));
    const sent = outbound.headers.map(readable);
    const passes = ([name, value]: Header) =>
      sent.some(([other, text]) => other.toLowerCase() === name.toLowerCase() && text === value);
    return {
      headers: sent,
      dropped: headers
        .filter((header) => !passes(header))
        .map(([name]) => ({ name, why: whyDropped(name, config.headers.strip) })),
    };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { reason, header } = error.detail ?? {};
    return { refusal: error.code as Code, why: [reason, header].filter((text) => text !== undefined).join(': ') };
  }
}

function throwAwayKey({ identity }: Upstream) {
  if (identity.algorithm === 'hmac-sha256') {
    return { algorithm: 'hmac-sha256', keyid: secretKeyid(identity.secret), secret: randomBytes(32) } as const;
  }
  return { algorithm: 'ed25519', keyid: 'KEYID', privateKey: generateKeyPairSync('ed25519').privateKey } as const;
}

function readable([name, value]: Header): Header {
  if (name === 'signature') return [name, 'countersign=:SIGNATURE:'];
  if (name === 'x-request-id') return [name, 'REQUEST-ID'];
  if (name === 'txn-token') return [name, 'TXN-TOKEN'];
  return [name, name === 'signature-input' ? value.replace(/;nonce="[^"]*"/, ';nonce="NONCE"') : value];
}
