import { z } from 'zod';
import { readTlsFiles, resolveTls, UnusableTlsFile } from '../tls-files.ts';
import type { Path } from '../yaml/source.ts';
import { type ListenPieces, ownListenerAt } from './listeners.ts';
import type { Pieces, Refuse } from './rules.ts';
import { duration, filePath, hostName, pathOnly, size, text, unique, wholeNumber } from './scalars.ts';
import { isPlainHttp, plainHttp, targetOrigin } from './urls.ts';

const secretOptions = {
  secret: text.optional().describe('32 bytes or more, from a variable without a default. One upstream, one secret.'),
  secretFile: filePath.optional().describe('Instead of `secret`: a file with it.'),
  next: text.optional().describe('What `secret` will be. Checked and listed by `keys list`, signs nothing yet.'),
  nextFile: filePath.optional().describe('Instead of `next`: a file with it.'),
};

const algorithmMeaning = 'With `ed25519` a service needs public keys only.';

const upstreamIdentity = z
  .discriminatedUnion('algorithm', [
    z.strictObject({ algorithm: z.literal('ed25519').describe(algorithmMeaning) }),
    z.strictObject({ algorithm: z.literal('hmac-sha256').describe(algorithmMeaning), ...secretOptions }),
  ])
  .prefault({ algorithm: 'ed25519' })
  .describe('How identity is signed for it. Whoever reads an hmac secret can be anyone, to that upstream alone.');

const health = z
  .strictObject({
    path: pathOnly.describe('Asked with GET; 200 to 299 is healthy.'),
    interval: duration({ min: '100ms', max: '1h' })
      .prefault('5s')
      .describe('Between two checks, give or take a tenth.'),
    timeout: duration({ min: '1ms', max: '1m' }).prefault('2s').describe('For a check, connection included.'),
    unhealthyAfter: wholeNumber(1, 10).default(2).describe('Bad checks in a row after which a target is left out.'),
    healthyAfter: wholeNumber(1, 10).default(2).describe('Good checks in a row after which it is back.'),
  })
  .describe('Checks of every target. Where all are out, all are tried.');

const breaker = z
  .strictObject({
    failureRate: z.number().min(0.01).max(1).default(0.5).describe('The share of failures at which it opens.'),
    minimum: wholeNumber(1, 100_000).default(20).describe('Requests in the window before that share counts.'),
    window: duration({ min: '100ms', max: '10m' }).prefault('10s').describe('How far back requests count.'),
    cooldown: duration({ min: '100ms', max: '10m' })
      .prefault('10s')
      .describe(
        'How long it stays open before 3 requests try again; with `health` until a check passes, if that is sooner.',
      ),
  })
  .describe('Answers 503 at once while an upstream cannot be reached or does not answer in time. Nothing else counts.');

const tls = z
  .strictObject({
    ca: filePath.optional().describe("PEM file of the CAs that may vouch for it, instead of the system's."),
    cert: filePath.optional().describe('PEM file of our certificate, and those between it and its CA.'),
    key: filePath.optional().describe('PEM file of its private key.'),
    serverName: hostName.optional().describe("The name that its certificate must be for. Default: the target's host."),
  })
  .describe('For https targets. The files are read again when they change; the certificate is always checked.');

export const upstream = z.strictObject({
  targets: unique(targetOrigin).min(1).max(64).describe('Its instances.'),
  identity: upstreamIdentity,
  txnToken: z.boolean().default(false).describe('Whether it is handed a `txn-token` for calls to other services.'),
  timeouts: z
    .strictObject({
      connect: duration({ min: '1ms', max: '1m' }).prefault('2s').describe('For a connection to be made.'),
      response: duration({ min: '1ms', max: '1h' })
        .prefault('30s')
        .describe('From the whole request to the first byte of the answer.'),
      idle: duration({ min: '1ms', max: '1d' })
        .prefault('60s')
        .describe('Between two pieces of the answer, or of a body that is streamed.'),
    })
    .prefault({})
    .describe('How long it may take.'),
  minRate: size({ min: '0B', max: '1MiB' })
    .prefault('1KiB')
    .describe('Bytes a second that a client has to send of a body, and to read of an answer, on average. `0B`: none.'),
  balance: z
    .enum(['round-robin', 'least-pending'])
    .default('round-robin')
    .describe('Which target is next: each in turn, or the one with the fewest unfinished requests.'),
  health: health.optional(),
  retry: z
    .strictObject({
      attempts: wholeNumber(0, 3).default(1).describe('Further attempts beyond the first.'),
    })
    .optional()
    .describe(
      'Tries idempotent requests again of which not a byte was answered. Without it: none, but see docs/request-flow.md.',
    ),
  breaker: breaker.optional(),
  tls: tls.optional(),
});

export type UpstreamPart = z.output<typeof upstream>;

type Upstreams = ReadonlyMap<string, Pieces<UpstreamPart>>;

/** A service that receives a txn-token calls other services with it, and signs with a key under `services`. */
export function checkTxnTokens(upstreams: Upstreams, services: Pick<ReadonlySet<string>, 'has'>, refuse: Refuse): void {
  for (const [name, { txnToken }] of upstreams) {
    if (!txnToken || services.has(name)) continue;
    const message = `"${name}" has no keys under services, so it could make no calls with it`;
    refuse(['upstreams', name, 'txnToken'], message);
  }
}

/** Targets over plain http stay on this machine. */
export function checkTargetUrls(upstreams: Upstreams, refuse: Refuse): void {
  for (const [path, target] of targetsOf(upstreams)) if (isPlainHttp(target)) refuse(path, plainHttp);
}

/** No target is a listener of the gateway itself: a route to the admin listener would publish it (CVE-2020-11710). */
export function checkOwnListeners(upstreams: Upstreams, listen: ListenPieces, refuse: Refuse): void {
  for (const [path, target] of targetsOf(upstreams)) {
    const own = ownListenerAt(target, listen);
    if (own !== undefined) refuse(path, `is the gateway's own listen.${own}`);
  }
}

const targetsOf = (upstreams: Upstreams): readonly (readonly [Path, string])[] =>
  [...upstreams].flatMap(([name, { targets = [] }]) =>
    targets.map((target, index) => [['upstreams', name, 'targets', index], target] as const),
  );

/** `tls` goes with https targets, and its files are usable. */
export function checkUpstreamTls(upstreams: Upstreams, directory: string, refuse: Refuse): void {
  for (const [name, { tls, targets }] of upstreams) {
    if (tls === undefined) continue;
    const path = ['upstreams', name, 'tls'];
    if (targets?.some((target) => target.startsWith('http:'))) refuse(path, 'is for https targets only');
    if ((tls.cert === undefined) !== (tls.key === undefined)) {
      refuse(path, '"cert" and "key" go together: set both or neither');
      continue;
    }
    try {
      readTlsFiles(resolveTls(tls, directory));
    } catch (error) {
      if (!(error instanceof UnusableTlsFile)) throw error;
      refuse([...path, error.key], error.why);
    }
  }
}
