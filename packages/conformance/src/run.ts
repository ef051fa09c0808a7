import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Judgement, judge, judgeClosed, judgeForm } from './judge.ts';
import { createProbes, isAccepted, type Result, resultOf, spaceProbe } from './probes.ts';
import { createRenewal, type LiveCase } from './renew.ts';
import { createRunKeys } from './run-keys.ts';
import { type Answer, ClosedWithoutStatus, send } from './send.ts';
import { createTokenCases, type TokenCase } from './token-cases.ts';
import type { Vector } from './vectors.ts';

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
  /** How long the service may take to fetch the new keys. Default 75 s: its cool-down is 30 s, and one fetch is redirected. */
  keysWithinMs?: number;
}>;

/** The service cannot be tested. The message says why. */
export class NotTestable extends Error {
  override readonly name = 'NotTestable';
}

/** What was found, and how many vectors were left out for each reason. */
export type Report = Readonly<{ results: readonly Result[]; leftOut: ReadonlyMap<string, number> }>;

const concurrency = 8;
const tooManyHeaders: Answer = { status: 431, headers: new Map(), body: '' };
const keySetPath = '/.well-known/jwks.json';

/**
 * Sends every vector of the identity contract to a running service, signed anew with keys of this run, and judges its
 * answers. Probes follow, about what no vector can show.
 *
 * @throws NotTestable if the service does not accept a valid request, for example because it fetches its keys elsewhere.
 */
export async function runConformance(options: ConformanceOptions): Promise<Report> {
  const { url, audience, nowMs } = options;
  const keys = createRunKeys();
  const renewal = createRenewal(keys, audience);
  const { vectors, renew } = renewal;
  const leftOut = new Map(Array.from(renewal.leftOut, ([why, { length }]) => [why ?? '', length]));
  leftOut.delete('');
  const keySet = createRedirectedSet(keys.jwks);
  const work = async (): Promise<Report> => {
    const [first] = vectors;
    if (first === undefined) throw new Error('there are no vectors');
    const accepted = await untilAccepted((sec) => renew(first, sec), options, echoAdvice);
    const probes = createProbes({ url, keys, renewal, nowMs, ...accepted });
    const slow = Promise.all(probes.slow());
    const server = await Promise.all(probes.server());
    const cutsAtSpace = server.some(({ name, judgement }) => name === spaceProbe && judgement.kind === 'note');
    const results: Result[] = [keySet.result(), ...server];
    let form: Judgement | undefined;
    const waiting = vectors.values();
    const sendWaiting = async () => {
      for (const vector of waiting) results.push(await resultOf(vector.name, () => run(vector)));
    };
    await Promise.all(Array.from({ length: concurrency }, sendWaiting));
    if (form !== undefined) results.push({ name: 'the response to a refused request', judgement: form });
    results.push(...(await Promise.all(probes.quick())), ...(await slow));
    if (accepted.downSec === undefined)
      leftOut.set('a request from before its start: the service was running before this command', 1);
    return { results, leftOut };

    async function run(vector: Vector): Promise<Judgement> {
      const live = renew(vector, Math.floor(nowMs() / 1000));
      for (const request of live.before) await send(url, request);
      const answer = await send(url, live.request).catch((error: Error) => {
        // A server may close the connection at the 201st header, as that of the JDK does.
        if (live.request.headers.length > 200) return tooManyHeaders;
        if (error instanceof ClosedWithoutStatus) return error;
        throw error;
      });
      if (answer instanceof Error) return judgeClosed(live, answer.received);
      if (answer.status === 401 && answer.headers.has('x-identity-refused') && live.request.method !== 'HEAD')
        form = form === undefined || form.kind === 'right' ? judgeForm(answer) : form;
      return judge(live, answer, cutsAtSpace);
    }
  };
  return whileServing(keySet.documentAt, keySetPath, options, work);
}

/** The key set of a run. The first fetch is answered with a redirect to it, which a verifier must not follow. */
function createRedirectedSet(jwks: object) {
  const target = '/.well-known/redirected-jwks.json';
  let fetches = 0;
  let isFollowed = false;
  return {
    documentAt(path: string): object | string {
      isFollowed ||= path === target;
      if (path === keySetPath) fetches += 1;
      return fetches === 1 && path === keySetPath ? target : jwks;
    },
    result(): Result {
      const message = 'was followed to another key set: an attacker who redirects the fetch could be any caller';
      const judgement: Judgement = isFollowed ? { kind: 'fault', message, section: 3 } : { kind: 'right' };
      return { name: 'a redirect of the key set', judgement };
    },
  };
}

const echoAdvice =
  'the service must fetch its key set from the address above, and answer every path with the identity it saw';
const tokenKeySetPath = '/.well-known/identity-token-jwks.json';

/**
 * Sends identity tokens to a running service, by a key of this run: a valid one, those that it must refuse, and those
 * that only a check of `req` refuses. If the service accepts the last ones, that is a note.
 *
 * @throws NotTestable if the service does not accept a valid token.
 */
export function runTokenConformance(options: ConformanceOptions & Readonly<{ header: string }>): Promise<Report> {
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
    return { results, leftOut: new Map() };
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

/**
 * @param documentAt A text is the location of a redirect.
 * @param work Gets the origin at which the documents are served meanwhile.
 */
async function whileServing<T>(
  documentAt: (path: string, origin: string) => object | string,
  keySetPath: string,
  { keys, onServing }: ConformanceOptions,
  work: (origin: string) => Promise<T>,
): Promise<T> {
  let origin = '';
  const server = createServer(({ url = '' }, response) => {
    const document = documentAt(url, origin);
    if (typeof document === 'string') return void response.writeHead(302, { location: document }).end();
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
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

/**
 * The service learns of the keys of this run when a request names one.
 *
 * @returns When the accepted one was created, and when the service was last seen not to run, in Unix seconds.
 */
async function untilAccepted(
  next: (nowSec: number) => Pick<LiveCase, 'request'>,
  options: ConformanceOptions,
  advice: string,
): Promise<Readonly<{ createdSec: number; downSec: number | undefined }>> {
  const { url, nowMs, keysWithinMs = 75_000 } = options;
  let downSec: number | undefined;
  const deadline = performance.now() + keysWithinMs;
  for (;;) {
    const nowSec = Math.floor(nowMs() / 1000);
    const outcome = await send(url, next(nowSec).request).catch((error: Error) => error);
    if (!(outcome instanceof Error) && isAccepted(outcome)) return { createdSec: nowSec, downSec };
    if ((outcome as NodeJS.ErrnoException).code === 'ECONNREFUSED') downSec = nowSec;
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
