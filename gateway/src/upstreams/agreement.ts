import { type Dispatcher, headerOf } from '@countersign/http1-client';
import { type AgreementPublicKey, agreementKeysIn } from '@countersign/identity';
import type { Logger } from '@countersign/process-kit';
import type { AppError } from '../errors.ts';
import type { FallbackReason } from '../keys/signing-keys.ts';
import { Poll, type PollAnswer } from './pool/poll.ts';

type AgreementOptions = Readonly<{
  upstream: string;
  targets: readonly Readonly<{ origin: string; openSingleUse(timeoutMs: number): Dispatcher }>[];
  logger: Logger;
  monotonicMs(): number;
  random(): number;
}>;

/** A key that no fetch has confirmed for this long is no longer used. The service still accepts it for 15 minutes. */
export const maxAgeMs = 3_600_000;
/** How long to sign with ed25519 after the service refused an agreed key. */
export const fallbackMs = 30_000;
/** How long to sign with ed25519 after instances behind one address published different keys: longer each time. */
const differMs = [600_000, 3_600_000, 86_400_000] as const;

const agreedKeyid = /;keyid="[A-Za-z0-9_-]{43}\.([A-Za-z0-9_-]{43})";/;

/** Tracks which of the service's keys to use for key agreement. Does not fetch before `start`. */
export class UpstreamAgreement {
  readonly targets: readonly FollowedTarget[];
  readonly #options: AgreementOptions;
  #chosen: AgreementPublicKey | FallbackReason = 'keys_unknown';
  #validUntilMs = Number.NEGATIVE_INFINITY;
  #fallbackUntilMs = Number.NEGATIVE_INFINITY;
  #refusedKid = '';
  #differUntilMs = Number.NEGATIVE_INFINITY;
  /** How often instances were found to differ, with less than a day between the ends. */
  #found = 0;
  #logged = '';

  constructor(options: AgreementOptions) {
    const onFetched = (differs: boolean) => this.#onFetched(differs);
    this.#options = options;
    this.targets = options.targets.map((address) => new FollowedTarget(address, { ...options, onFetched }));
  }

  /** Returns the key that every target publishes, or the reason why requests are signed with ed25519. */
  serviceKey(): AgreementPublicKey | FallbackReason {
    const nowMs = this.#options.monotonicMs();
    if (nowMs < this.#differUntilMs) return 'instances_differ';
    const key = nowMs > this.#validUntilMs ? 'keys_unknown' : this.#chosen;
    // Any other key is new: the service has restarted with it.
    const isRefused = typeof key === 'string' || key.kid === this.#refusedKid;
    return isRefused && nowMs < this.#fallbackUntilMs ? 'key_unknown' : key;
  }

  /**
   * If the service does not know the key, fetches the key sets again, and signs with ed25519 for 30 s or until all
   * targets publish a new key.
   *
   * @returns Whether to send the request again: the service refused it before handling it.
   */
  shouldRepeat({ code, detail }: AppError, headers: readonly string[]): boolean {
    if (code !== 'identity_refused' || detail?.reason !== 'key_unknown') return false;
    // Uses the last value, because a client's header may have the same name.
    const input = headers[headers.lastIndexOf('signature-input') + 1];
    const kid = agreedKeyid.exec(input ?? '')?.[1];
    if (kid === undefined) return false;
    // A fetch has replaced the key since the request was signed.
    if (typeof this.#chosen !== 'string' && this.#chosen.kid !== kid) return true;
    const { upstream, logger, monotonicMs } = this.#options;
    const nowMs = monotonicMs();
    if (nowMs >= this.#fallbackUntilMs) {
      logger.warn(
        { upstream, ...detail },
        'a service does not know the agreed key, so requests are signed with ed25519 for 30 s, or until it publishes a new one',
      );
    }
    this.#fallbackUntilMs = nowMs + fallbackMs;
    this.#refusedKid = kid;
    for (const { poll } of this.targets) poll.hurry(soonestMs);
    return true;
  }

  start(): void {
    for (const { poll } of this.targets) poll.start(0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.targets.map(({ poll }) => poll.stop()));
  }

  /** @returns Whether the service still refuses the key that it publishes. */
  #onFetched(differs: boolean): boolean {
    const before = this.#chosen;
    const next = chooseKey(this.targets);
    if (differs) this.#onDifferingInstances();
    this.#validUntilMs = Math.min(...this.targets.map(({ confirmedAtMs }) => confirmedAtMs)) + maxAgeMs;
    // Keeps the object of an unchanged key, because derived keys are cached by that object.
    this.#chosen = typeof next !== 'string' && typeof before !== 'string' && next.kid === before.kid ? before : next;
    this.#logChange();
    return this.serviceKey() === 'key_unknown';
  }

  #onDifferingInstances(): void {
    const { upstream, logger, monotonicMs } = this.#options;
    const nowMs = monotonicMs();
    if (nowMs >= this.#differUntilMs) {
      this.#found = nowMs < this.#differUntilMs + differMs[2] ? Math.min(this.#found + 1, 3) : 1;
      logger.error(
        { upstream },
        'instances behind one address publish different keys, so requests are signed with ed25519: give all instances one directory of keys. Unless they share a replay store, a captured request works once at each of them, with ed25519 too',
      );
    }
    this.#differUntilMs = nowMs + (differMs[this.#found - 1] ?? differMs[0]);
  }

  #logChange(): void {
    const { upstream, logger } = this.#options;
    const kid = typeof this.#chosen === 'string' ? undefined : this.#chosen.kid;
    const published = this.targets.map(({ origin, keys }) => ({ target: origin, kids: keys?.map((key) => key.kid) }));
    const isNone = this.#chosen === 'no_common_key';
    const differ = isNone && published.filter(({ kids }) => kids?.length).length > 1;
    const now = JSON.stringify([kid ?? this.#chosen, differ && published]);
    if (now === this.#logged) return;
    this.#logged = now;
    if (kid !== undefined) logger.info({ upstream, kid }, 'requests are signed with an agreed key');
    if (!isNone) return;
    const why = differ
      ? 'the targets of an upstream publish different keys, so requests are signed with ed25519: give all targets the same key. Unless they share a replay store, a captured request works once at each of them'
      : 'a target of an upstream publishes no X25519 key, so requests are signed with ed25519';
    logger.warn({ upstream, published }, why);
  }
}

/** The first target's first key that every other target also publishes: services list the preferred key first. */
function chooseKey(targets: readonly FollowedTarget[]): AgreementPublicKey | FallbackReason {
  const published = targets.map(({ keys }) => keys);
  if (published.includes(undefined)) return 'keys_unknown';
  const [first, ...others] = published;
  const isCommon = ({ kid }: AgreementPublicKey) => others.every((keys) => keys?.some((key) => key.kid === kid));
  return first?.find(isCommon) ?? 'no_common_key';
}

/** Shorter than the 15 minutes for which a service publishes its old key together with the new one. */
export const refreshMs = 60_000;
const firstRetryMs = 250;
/** Until a key is known, requests are signed with ed25519, so a slow retry only costs CPU time. */
const longestRetryMs = 5_000;
/** Nothing listens: the service may be about to start, and its first requests should already have a key. */
const longestConnectMs = 750;
/** The minimum time between the starts of two fetches. */
const soonestMs = 1_000;

const path = '/.well-known/jwks.json';
const request = {
  headers: ['user-agent', 'countersign-keys', 'accept', 'application/jwk-set+json, application/json'],
  maxBodyBytes: 64 * 1024,
  timeoutMs: 5_000,
};
/** A service publishes one key, or two while it rotates. */
const maxKeys = 4;
/** More than the instances behind one address. */
const maxSeen = 1_000;

/** A failed fetch keeps the known keys. Follows no redirects, because another host could supply any key. */
class FollowedTarget {
  readonly origin: string;
  keys: readonly AgreementPublicKey[] | undefined;
  /** When a fetch last confirmed the keys, in monotonic milliseconds. */
  confirmedAtMs = Number.NEGATIVE_INFINITY;
  failure: string | undefined;
  readonly poll: Poll;
  readonly #upstream: string;
  #failuresInARow = 0;
  /** The kids of the last key set that had any, and those of all sets. */
  #last: readonly string[] = [];
  readonly #seen = new Set<string>();

  /**
   * @param options `onFetched` runs after every fetch. It learns whether instances behind the address differ, and returns
   *   whether to fetch again soon: another instance may have answered.
   */
  constructor(
    { origin, openSingleUse }: AgreementOptions['targets'][number],
    options: Pick<AgreementOptions, 'upstream' | 'monotonicMs' | 'random'> & { onFetched(differs: boolean): boolean },
  ) {
    const { upstream, onFetched, monotonicMs, random } = options;
    this.origin = origin;
    this.#upstream = upstream;
    const onAnswer = (answer: PollAnswer): number => {
      const fetched = keysIn(answer, upstream);
      const longestMs = typeof answer === 'string' ? longestConnectMs : longestRetryMs;
      const retryInMs = this.#keep(fetched, monotonicMs(), longestMs);
      const isRefused = onFetched(typeof fetched !== 'string' && this.#returns(fetched.map(({ kid }) => kid)));
      return isRefused ? Math.min(retryInMs, longestRetryMs) : retryInMs;
    };
    this.poll = new Poll({ pool: openSingleUse(request.timeoutMs), path, request, onAnswer, monotonicMs, random });
  }

  /** Fetches once, without `start`. Undefined if the target does not respond with a key set in time. */
  async fetchOnce(timeoutMs: number): Promise<readonly AgreementPublicKey[] | undefined> {
    const fetched = keysIn(await this.poll.ask(AbortSignal.timeout(timeoutMs)), this.#upstream);
    return typeof fetched === 'string' ? undefined : fetched;
  }

  /**
   * Whether an earlier key set is back after one that shares no key with it. A restart with a key in memory, or a
   * rotation, never brings an old key back: several instances answer at this address, each with its own key.
   */
  #returns(kids: readonly string[]): boolean {
    if (kids.length === 0) return false;
    const isOther = !kids.some((kid) => this.#last.includes(kid));
    const returns = isOther && kids.some((kid) => this.#seen.has(kid));
    if (this.#seen.size > maxSeen) this.#seen.clear();
    for (const kid of kids) this.#seen.add(kid);
    this.#last = kids;
    return returns;
  }

  /** @returns Milliseconds until the next fetch. */
  #keep(fetched: readonly AgreementPublicKey[] | string, nowMs: number, longestMs: number): number {
    if (typeof fetched === 'string') {
      this.failure = fetched;
      this.#failuresInARow += 1;
      return Math.min(longestMs, firstRetryMs * 2 ** (this.#failuresInARow - 1));
    }
    this.failure = undefined;
    this.#failuresInARow = 0;
    this.keys = fetched;
    this.confirmedAtMs = nowMs;
    return refreshMs;
  }
}

/** @returns The keys, or the reason why they are unknown. Empty if the target publishes no key set. */
function keysIn(answer: PollAnswer, upstream: string): readonly AgreementPublicKey[] | string {
  if (typeof answer === 'string') return answer;
  const { status, body } = answer;
  if (status !== 200) return status === 404 || status === 410 ? [] : `status ${status}`;
  if (headerOf(answer, 'content-encoding') !== undefined) return 'content-encoding';
  try {
    return agreementKeysIn(JSON.parse(body.toString('utf8')), upstream)?.slice(0, maxKeys) ?? 'not a key set';
  } catch {
    return 'not a key set';
  }
}
