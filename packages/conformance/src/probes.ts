import { setTimeout as delay } from 'node:timers/promises';
import { type Judgement, judge } from './judge.ts';
import type { createRenewal } from './renew.ts';
import type { RunKeys } from './run-keys.ts';
import { type Answer, send } from './send.ts';
import type { Vector, VectorRequest } from './vectors.ts';

export type Result = Readonly<{ name: string; judgement: Judgement }>;

/** `createdSec`: when an accepted request was created. `downSec`: when the service did not run. Unix seconds. */
type ProbeOptions = Readonly<{
  url: URL;
  keys: RunKeys;
  renewal: ReturnType<typeof createRenewal>;
  createdSec: number;
  downSec: number | undefined;
  nowMs(): number;
}>;

const copies = 20;
// The tolerance, and two seconds for clocks that differ.
const pastEndSec = 7;

export const isAccepted = ({ status }: Answer): boolean => status >= 200 && status < 300;

/** A request without a response is a fault. */
export async function resultOf(name: string, decide: () => Promise<Judgement>): Promise<Result> {
  try {
    return { name, judgement: await decide() };
  } catch (error) {
    return { name, judgement: { kind: 'fault', message: `got no response: ${(error as Error).message}`, section: 8 } };
  }
}

export const spaceProbe = 'a space in the target of a signed request';

/** What an HTTP server may change after signing, so that the request is valid again. No handler can see it. */
const serverChanges: readonly (readonly [
  name: string,
  does: string,
  change: (signed: VectorRequest) => VectorRequest,
])[] = [
  ['a folded line', 'joins folded lines (RFC 9112 section 5.2)', (signed) => withGap(signed, ',\r\n ')],
  [
    'a tab where a space was signed',
    'reads a tab as a space (RFC 9110 section 5.5)',
    (signed) => withGap(signed, ',\t'),
  ],
  [
    spaceProbe,
    'ends a target at a space (RFC 9112 section 3)',
    (signed) => ({ ...signed, target: `${signed.target} b` }),
  ],
];

const withGap = (signed: VectorRequest, gap: string): VectorRequest => ({
  ...signed,
  headers: signed.headers.map(([name, value]) => [
    name,
    name === 'x-identity-context' ? value.replace(', ', gap) : value,
  ]),
});

/** Requests that no vector can show, because they need a running server, a clock that runs, or a service's start. */
export function createProbes({ url, keys, renewal, createdSec, downSec, nowMs }: ProbeOptions) {
  const { vectors, change } = renewal;
  const accepted = (method: string): Vector => {
    const found = vectors.find(({ identity, request }) => identity !== undefined && request.method === method);
    if (found === undefined) throw new Error(`no vector has the method ${method}`);
    return found;
  };
  const [get, post] = [accepted('GET'), accepted('POST')];
  const nowSec = () => Math.floor(nowMs() / 1000);
  const until = (sec: number) => delay(Math.max(0, sec * 1000 - nowMs()));
  const refused = async (reason: string, request: VectorRequest, options = {}) =>
    judge({ name: '', before: [], request, refused: reason }, await send(url, request, options));

  return {
    server: () =>
      serverChanges.map(([name, does, changed]) =>
        resultOf(name, async () => {
          const request = changed(change(get, { createdSec: nowSec(), lifetimeSec: 30 }));
          if (!isAccepted(await send(url, request))) return { kind: 'right' };
          return {
            kind: 'note',
            message: `was accepted: the HTTP server ${does} before the verifier sees it`,
            section: 2,
          };
        }),
      ),
    quick: () => [
      ...keys.published.map((key) =>
        resultOf(`key_unknown: ${key.sign ? 'a published key' : 'the kid of a published key'}`, () =>
          refused('key_unknown', change(get, { createdSec: nowSec(), lifetimeSec: 30, ...key })),
        ),
      ),
      resultOf(`${copies} copies of one request at once`, async () => {
        const request = change(get, { createdSec: nowSec(), lifetimeSec: 30 });
        const answers = await Promise.all(Array.from({ length: copies }, () => send(url, request)));
        const times = answers.filter(isAccepted).length;
        const message = `was accepted ${times} times, but must be accepted once`;
        return times === 1 ? { kind: 'right' } : { kind: 'fault', message, section: 7 };
      }),
    ],
    /** Each takes up to eight seconds, so they run beside the vectors. */
    slow: () => [
      resultOf('expired: while the last byte of the body was awaited', () =>
        refused('expired', change(post, { createdSec, lifetimeSec: 1 }), {
          lastByteAfterMs: Math.max(1, (createdSec + 1 + pastEndSec) * 1000 - nowMs()),
        }),
      ),
      resultOf('replayed: three seconds after expires', async () => {
        const request = change(get, { createdSec, lifetimeSec: 2 });
        await send(url, request);
        await until(createdSec + 2 + 3);
        const judged = await refused('replayed', request);
        // On a busy machine it may be late, and have expired.
        return judged.kind === 'note' && nowSec() >= createdSec + 2 + 5 ? { kind: 'right' } : judged;
      }),
      ...(downSec === undefined
        ? []
        : [
            resultOf('created_before_start: created before the service answered', () =>
              refused('created_before_start', change(get, { createdSec: downSec, lifetimeSec: 60 })),
            ),
          ]),
    ],
  };
}
