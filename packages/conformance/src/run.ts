import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Judgement, judge } from './judge.ts';
import { createRenewal, type LiveCase } from './renew.ts';
import { createRunKeys } from './run-keys.ts';
import { type Answer, send } from './send.ts';
import { createTokenCases, type TokenCase } from './token-cases.ts';
import type { Vector, VectorRequest } from './vectors.ts';

export type ConformanceOptions = Readonly<{
  /** The service. Its path and query are ignored: each vector has its own. */
  url: URL;
  /** The service's name in gateway.yaml. */
  audience: string;
  /** The address where the service fetches the gateway's key set. Port 0 chooses one. */
  keys: Readonly<{ host: string; port: number }>;
  nowMs(): number;
  /** Called once the key set is served at this URL. */
  onServing?(keySetUrl: string): void;
  /** How long the service may take to fetch the new keys. Default 45 s: its cool-down is 30 s. */
  keysWithinMs?: number;
}>;

export type Result = Readonly<{ name: string; judgement: Judgement }>;

/** The service cannot be tested. The message says why. */
export class NotTestable extends Error {
  override readonly name = 'NotTestable';
}

const concurrency = 8;
const copies = 20;
// The tolerance, and some seconds for clocks that differ.
const pastEndSec = 9;

/**
 * Sends every vector of the identity contract to a running service, signed anew with keys of this run, and judges its
 * answers. Then one request arrives many times at once.
 *
 * @throws NotTestable if the service does not accept a valid request, for example because it fetches its keys elsewhere.
 */
export function runConformance(options: ConformanceOptions): Promise<readonly Result[]> {
  const { url, audience, nowMs } = options;
  const keys = createRunKeys();
  return whileServing(
    () => keys.jwks,
    '/.well-known/jwks.json',
    options,
    async () => {
      const { vectors, renew, renewForASecond } = createRenewal(keys, audience);
      const nowSec = () => Math.floor(nowMs() / 1000);
      const [first] = vectors;
      if (first === undefined) throw new Error('there are no vectors');
      const createdSec = await untilAccepted((sec) => renew(first, sec), options, echoAdvice);
      const results: Result[] = [];
      let isExpiryHidden = false;
      const waiting = vectors.values();
      const work = async () => {
        for (const vector of waiting) results.push({ name: vector.name, judgement: await run(vector) });
      };
      await Promise.all(Array.from({ length: concurrency }, work));
      results.push(await replayAtOnce(url, renew(first, nowSec())));
      if (isExpiryHidden)
        results.push(await expireSinceTheStart(renewForASecond(first, createdSec), createdSec, options));
      return results;

      async function run(vector: Vector): Promise<Judgement> {
        const live = renew(vector, nowSec());
        try {
          for (const request of live.before) await send(url, request);
          const answer = await send(url, live.request);
          isExpiryHidden ||=
            live.refused === 'expired' && answer.headers.get('x-identity-refused') === 'created_before_start';
          return judge(live, answer);
        } catch (error) {
          return { kind: 'fault', message: `got no response: ${(error as Error).message}`, section: 8 };
        }
      }
    },
  );
}

async function replayAtOnce(url: URL, { request }: LiveCase): Promise<Result> {
  const answers = await Promise.all(Array.from({ length: copies }, () => send(url, request)));
  const accepted = answers.filter(isAccepted).length;
  const message = `was accepted ${accepted} times, but must be accepted once`;
  return {
    name: `${copies} copies of one request at once`,
    judgement: accepted === 1 ? { kind: 'right' } : { kind: 'fault', message, section: 7 },
  };
}

/**
 * A memory of nonces that began a moment ago refuses what was created before, and hides that the service never looks at
 * `expires`. So this request is created after the first accepted one, and sent once it has expired.
 */
async function expireSinceTheStart(
  request: VectorRequest,
  createdSec: number,
  { url, nowMs }: ConformanceOptions,
): Promise<Result> {
  const name = 'expired: a signature of one second, created after the start';
  await delay(Math.max(0, (createdSec + 1 + pastEndSec) * 1000 - nowMs()));
  return { name, judgement: judge({ name, before: [], request, refused: 'expired' }, await send(url, request)) };
}

const isAccepted = ({ status }: Answer): boolean => status >= 200 && status < 300;

const echoAdvice =
  'the service must fetch its key set from the address above, and answer every path with the identity it saw';
const tokenKeySetPath = '/.well-known/identity-token-jwks.json';

/**
 * Sends identity tokens to a running service, by a key of this run: a valid one, those that it must refuse, and those
 * that only a check of `req` refuses. If the service accepts the last ones, that is a note.
 *
 * @throws NotTestable if the service does not accept a valid token.
 */
export function runTokenConformance(
  options: ConformanceOptions & Readonly<{ header: string }>,
): Promise<readonly Result[]> {
  const { url, audience, header, nowMs } = options;
  const cases = createTokenCases();
  const documentAt = (path: string, issuer: string) =>
    path === tokenKeySetPath ? cases.jwks : { issuer: `${issuer}/${audience}`, jwks_uri: issuer + tokenKeySetPath };
  return whileServing(documentAt, tokenKeySetPath, options, async (issuer) => {
    const receiver = { audience, header, issuer, target: url.pathname + url.search };
    const advice = `the service must trust the issuer ${issuer}/${audience}, and read its token from ${header}`;
    await untilAccepted((sec) => cases.at(receiver, sec)[0], options, advice);
    const results: Result[] = [];
    for (const one of cases.at(receiver, Math.floor(nowMs() / 1000)))
      results.push({ name: one.name, judgement: await judgeToken(one, url) });
    return results;
  });
}

async function judgeToken({ request, expected, before }: TokenCase, url: URL): Promise<Judgement> {
  try {
    if (before !== undefined && !isAccepted(await send(url, before)))
      return { kind: 'note', message: 'was not sent: the service does not accept a POST at this path' };
    const answer = await send(url, request);
    if (answer.status >= 500) return { kind: 'fault', message: `was answered with ${answer.status}` };
    if (isAccepted(answer) === (expected === 'accepted')) return { kind: 'right' };
  } catch (error) {
    return { kind: 'fault', message: `got no response: ${(error as Error).message}` };
  }
  return expected === 'bound'
    ? { kind: 'note', message: 'was accepted: without a check of req, tokens are replayable' }
    : { kind: 'fault', message: `was ${expected === 'refused' ? 'accepted' : 'refused'}, but must be ${expected}` };
}

/** @param work Gets the origin at which the documents are served meanwhile. */
async function whileServing<T>(
  documentAt: (path: string, origin: string) => object,
  keySetPath: string,
  { keys, onServing }: ConformanceOptions,
  work: (origin: string) => Promise<T>,
): Promise<T> {
  let origin = '';
  const server = createServer(({ url = '' }, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(documentAt(url, origin)));
  });
  await once(server.listen(keys.port, keys.host), 'listening').catch((cause: Error) => {
    throw new NotTestable(`the key set cannot be served on ${keys.host}:${keys.port}: ${cause.message}`);
  });
  try {
    origin = `http://${keys.host}:${(server.address() as AddressInfo).port}`;
    onServing?.(origin + keySetPath);
    return await work(origin);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** The service learns of the keys of this run when a request names one. Returns when the accepted one was created. */
async function untilAccepted(
  next: (nowSec: number) => Pick<LiveCase, 'request'>,
  options: ConformanceOptions,
  advice: string,
): Promise<number> {
  const { url, nowMs, keysWithinMs = 45_000 } = options;
  const deadline = performance.now() + keysWithinMs;
  for (;;) {
    const nowSec = Math.floor(nowMs() / 1000);
    const outcome = await send(url, next(nowSec).request).catch((error: Error) => error);
    if (!(outcome instanceof Error) && isAccepted(outcome)) return nowSec;
    if (performance.now() > deadline) throw new NotTestable(whyNotTestable(outcome, options, advice));
    await delay(500);
  }
}

function whyNotTestable(outcome: Answer | Error, { url, audience }: ConformanceOptions, advice: string): string {
  if (outcome instanceof Error) return `${url.origin} does not answer: ${outcome.message}`;
  const reason = outcome.headers.get('x-identity-refused') ?? outcome.headers.get('x-identity-unavailable');
  const change = reason === 'audience_mismatch' ? `the service does not call itself ${audience}` : advice;
  return `${url.origin} answers a valid request with ${outcome.status}${reason === undefined ? '' : ` ${reason}`}: ${change}`;
}
