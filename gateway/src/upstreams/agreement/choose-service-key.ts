import type { AgreementPublicKey } from '@countersign/identity';
import type { Logger } from '@countersign/service-kit';
import type { AppError } from '../../errors.ts';
import type { FallbackReason } from '../../keys/signing-keys.ts';
import { type FollowedAddress, type FollowedTarget, followTarget } from './follow-target.ts';

/** The service's side of an agreement: which of its keys to use. */
export type UpstreamAgreement = Readonly<{
  targets: readonly FollowedTarget[];
  /** The key that every target publishes, or the reason why requests are signed with ed25519. */
  serviceKey(): AgreementPublicKey | FallbackReason;
  /**
   * Handles a refused request. If the service does not know the key of this request, requests are signed with ed25519 for 30 s, and
   * the key sets are fetched again.
   *
   * @param headers The headers of the refused request, as alternating names and values.
   * @returns Whether to send the request again. That is safe: the service refused it before handling it.
   */
  shouldRepeat(error: AppError, headers: readonly string[]): boolean;
  start(): void;
  stop(): Promise<void>;
}>;

export type UpstreamAgreementOptions = Readonly<{
  upstream: string;
  targets: readonly FollowedAddress[];
  logger: Logger;
  monotonicMs(): number;
  random(): number;
}>;

/** A key that no fetch has confirmed for this long is no longer used. The service accepts it for another 15 minutes. */
const maxAgeMs = 3_600_000;
/** How long to sign with ed25519 after the service refused an agreed key. */
const fallbackMs = 30_000;

const agreedKeyid = /;keyid="[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}";/;

/** Creates the service's side of an agreement. It fetches nothing before `start`. */
export function createUpstreamAgreement(options: UpstreamAgreementOptions): UpstreamAgreement {
  const { upstream, logger, monotonicMs, random } = options;
  const targets = options.targets.map((address) => followTarget({ ...address, onFetched, monotonicMs, random }));
  let chosen: AgreementPublicKey | FallbackReason = 'keys_unknown';
  let validUntilMs = Number.NEGATIVE_INFINITY;
  let fallbackUntilMs = Number.NEGATIVE_INFINITY;
  let logged = '';

  function onFetched(): void {
    const before = chosen;
    chosen = chooseKey(targets);
    validUntilMs = Math.min(...targets.map((target) => target.confirmedAtMs())) + maxAgeMs;
    // Reuse the object of an unchanged key: the derived key is cached by it.
    if (typeof chosen !== 'string' && typeof before !== 'string' && chosen.kid === before.kid) chosen = before;
    logChange();
  }

  function logChange(): void {
    const published = targets.map(({ origin, keys }) => ({ target: origin, kids: keys()?.map(({ kid }) => kid) }));
    const differ = chosen === 'no_common_key' && published.filter(({ kids }) => kids?.length).length > 1;
    const now = JSON.stringify([typeof chosen === 'string' ? chosen : chosen.kid, differ && published]);
    if (now === logged) return;
    logged = now;
    if (typeof chosen !== 'string') {
      logger.info({ upstream, kid: chosen.kid }, 'requests are signed with a key that both sides agree on');
    } else if (differ) {
      logger.warn(
        { upstream, published },
        'the targets of an upstream publish different keys, so requests are signed with ed25519: give them one key',
      );
    } else if (chosen === 'no_common_key') {
      logger.warn(
        { upstream, published },
        'a target of an upstream publishes no key for agreement, so requests are signed with ed25519',
      );
    }
  }

  return {
    targets,
    serviceKey() {
      const nowMs = monotonicMs();
      if (nowMs < fallbackUntilMs) return 'key_unknown';
      return nowMs > validUntilMs ? 'keys_unknown' : chosen;
    },
    shouldRepeat({ code, detail }, headers) {
      if (code !== 'identity_refused' || detail?.reason !== 'key_unknown') return false;
      // The last one: a client's header may have this value.
      const input = headers[headers.lastIndexOf('signature-input') + 1];
      if (input === undefined || !agreedKeyid.test(input)) return false;
      const nowMs = monotonicMs();
      if (nowMs >= fallbackUntilMs) {
        logger.warn({ upstream, ...detail }, 'a service does not know the agreed key: ed25519 is used for 30 s');
      }
      fallbackUntilMs = nowMs + fallbackMs;
      for (const target of targets) target.fetchNow();
      return true;
    },
    start() {
      for (const target of targets) target.start();
    },
    async stop() {
      await Promise.all(targets.map((target) => target.stop()));
    },
  };
}

/** The first target's first key that every other target also publishes. Services publish the preferred key first. */
function chooseKey(targets: readonly FollowedTarget[]): AgreementPublicKey | FallbackReason {
  const published = targets.map((target) => target.keys());
  if (published.includes(undefined)) return 'keys_unknown';
  const [first, ...others] = published;
  const isCommon = ({ kid }: AgreementPublicKey) => others.every((keys) => keys?.some((key) => key.kid === kid));
  return first?.find(isCommon) ?? 'no_common_key';
}
