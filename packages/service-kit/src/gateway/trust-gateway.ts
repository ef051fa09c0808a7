import { setTimeout as delay } from 'node:timers/promises';
import {
  type AgreementOptions,
  createVerifier,
  gatewayKeys,
  memoryReplay,
  type RemoteGatewayKeys,
  type ReplayStore,
  redisReplay,
  secretGatewayKeys,
  unavailableReasons,
  verifyUpgrade,
} from '@countersign/identity';
import { publishAgreementKeys, verifyIdentity } from '@countersign/identity/express';
import { addToLog, ConfigError, type HealthCheck, type Logger, registerScraped } from '@countersign/process-kit';
import type { Request } from 'express';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { type CommonConfig, gatewayKeysUrl } from './common-config.ts';

type TrustOptions = Readonly<{
  /** This service's name in gateway.yaml. Identities for other services are refused. */
  audience: string;
  config: CommonConfig;
  /** Shares used nonces between instances. If undefined, this process keeps its own. */
  redis: Redis | undefined;
  logger: Logger;
  metrics: Registry;
  /** See `VerifyIdentityOptions.stream`. */
  streams?: ((req: Request) => boolean) | undefined;
}>;

export type GatewayTrust = ReturnType<typeof trustGateway>;

const startWithinMs = 2_000;
const checkAgainMs = 20;

/**
 * Verifies the gateway's signed identity, in the same way for every service.
 *
 * @throws ConfigError if the keys for agreement, or the URL of the gateway's keys, are not usable.
 */
export function trustGateway(options: TrustOptions) {
  const { audience, logger } = options;
  const source = keySource(options);
  const { replay, check } = replayMemory(options);
  const agreement = agreementOf(options);
  const parts = { audience, keys: source.keys, replay };
  const verifier =
    agreement === undefined
      ? createVerifier(parts)
      : orConfigError('AGREEMENT_KEYS', () => createVerifier({ ...parts, agreement }));
  return {
    /** Refuses requests that the gateway did not sign for this service. */
    handler: verifyIdentity({
      verifier,
      ...(options.streams && { stream: options.streams }),
      onRefused: (_req, res, { reason }) => addToLog(res, { ...codeAndFaultOf(reason), reason }),
    }),
    /** Verifies an upgrade request. Undefined if it was refused. */
    upgrade: verifyUpgrade({
      verifier,
      onRefused: (req, { reason }) => logger.warn({ path: req.url?.split('?')[0], reason }, 'an upgrade was refused'),
    }),
    /** Publishes this service's keys for agreement, if the service serves its own key set before `handler`. */
    publishKeys: publishAgreementKeys(verifier),
    checks: {
      gateway_keys: () => (source.isReady() ? undefined : "the gateway's keys are not loaded"),
      replay_memory: check,
      clock: source.clock,
    },
    /** Starts fetching the keys. Resolves once requests can be verified, or after two seconds. */
    async start() {
      const untilMs = performance.now() + startWithinMs;
      const available = Promise.all([source.start(), isConnected(options.redis)]);
      await Promise.race([available, delay(startWithinMs, undefined, { ref: false })]);
      while ((await check()) !== undefined && performance.now() < untilMs) await delay(checkAgainMs);
    },
    stop: source.stop,
  };
}

/** @throws ConfigError if variables contradict each other. */
function agreementOf({ config, logger }: TrustOptions): AgreementOptions | undefined {
  const { AGREEMENT_KEYS: place, AGREEMENT_KEY: given, GATEWAY_SECRET: secret } = config;
  const keys = place ?? given;
  if (keys === undefined) return undefined;
  if (place !== undefined && given !== undefined) throw new ConfigError(['AGREEMENT_KEYS and AGREEMENT_KEY: set one']);
  if (secret !== undefined) throw new ConfigError(['AGREEMENT_KEYS or AGREEMENT_KEY, and GATEWAY_SECRET: set one']);
  return {
    keys,
    onEvent(event) {
      if (event.type === 'memory') {
        logger.warn({ kid: event.kid }, 'the key for agreement is in memory: run one instance of this service only');
      } else
        logger.error(
          { err: event.error },
          'keys for agreement cannot be read or created: the last valid ones stay in use',
        );
    },
  };
}

/** Reports the library's errors as a ConfigError, for example for keys in memory with a shared replay store. */
function orConfigError<T>(variable: keyof CommonConfig, make: () => T): T {
  try {
    return make();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // The library's message names its own option.
    const problem = message.replace('insecureTransport: true', 'GATEWAY_INSECURE_TRANSPORT=true');
    throw new ConfigError([`${variable}: ${problem}`]);
  }
}

async function isConnected(redis: Redis | undefined): Promise<void> {
  if (redis === undefined || redis.status === 'ready') return;
  await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
}

/** Without keys, requests cannot be verified. This is our fault, not the caller's. */
function codeAndFaultOf(reason: string): Readonly<{ code: string; fault: string }> {
  const isOurs = (unavailableReasons as readonly string[]).includes(reason);
  return isOurs ? { code: 'identity_unavailable', fault: 'ours' } : { code: 'identity_refused', fault: 'caller' };
}

const consequences: Readonly<Record<CommonConfig['REPLAY_WITHOUT_REDIS'], string>> = {
  reads: 'a captured GET or HEAD can be replayed once at each other instance, and other requests are refused with 503',
  refuse: 'requests are refused with 503',
  memory: 'a captured request can be replayed once at each other instance',
};

function replayMemory({ config, redis, logger, metrics }: TrustOptions): { replay: ReplayStore; check: HealthCheck } {
  if (redis === undefined) {
    const replay = memoryReplay();
    // Refuses signatures from before the start, because they may have been used before a restart.
    const check = () => (Date.now() < replay.startsAtMs ? 'the replay memory has just started' : undefined);
    return { replay, check };
  }
  const onUnavailable = config.REPLAY_WITHOUT_REDIS;
  const consequence = consequences[onUnavailable];
  logger.info({ onUnavailable }, `replay memory is in redis. While redis is unavailable, ${consequence}`);
  const replay = redisReplay(redis, {
    onUnavailable,
    onStateChange(state, cause) {
      if (state === 'available') logger.info('replay memory in redis is available again');
      else logger.warn({ err: cause }, `replay memory in redis is unavailable: ${consequence}`);
    },
  });
  registerScraped(
    {
      name: 'gateway_requests_accepted_without_redis_total',
      help: 'Requests whose nonce was compared only with those of this instance.',
      rows: () => [[[], replay.acceptedAlone]],
    },
    metrics,
  );
  return { replay, check: () => replay.check() };
}

/** Uses the shared secrets, or else the published keys. With secrets, the gateway's clock is unknown. */
function keySource({ config, logger, metrics }: TrustOptions) {
  const secrets = [config.GATEWAY_SECRET, config.GATEWAY_SECRET_NEXT].filter((secret) => secret !== undefined);
  if (secrets.length > 0) {
    const keys = secretGatewayKeys(secrets.map((secret) => ({ secret })));
    return { keys, isReady: () => true, clock: () => undefined, start: async () => {}, stop: () => {} };
  }
  const from = { url: gatewayKeysUrl(config), insecureTransport: config.GATEWAY_INSECURE_TRANSPORT };
  const keys = orConfigError('GATEWAY_KEYS_URL', () => followGatewayKeys(from, { logger, metrics }));
  const clock = gatewayClockCheck(from.url);
  return { keys, isReady: () => keys.ready, clock, start: () => keys.start(), stop: () => keys.stop() };
}

/** Fetches the gateway's published keys, which stay usable for an hour, and reports their state in log and metrics. */
export function followGatewayKeys(
  { url, insecureTransport }: Readonly<{ url: string; insecureTransport: boolean }>,
  { logger, metrics }: Readonly<{ logger: Logger; metrics: Registry }>,
): RemoteGatewayKeys {
  const keys = gatewayKeys({
    url,
    insecureTransport,
    onEvent(event) {
      const { type: _type, ...fields } = event;
      switch (event.type) {
        case 'fetched':
          if (event.changed) logger.info(fields, "fetched the gateway's keys");
          return;
        case 'failed':
          // Retries back off to one a minute. If no keys are usable, `onStateChange` logs this once.
          if (keys.ready) logger.warn({ ...fields, url }, "cannot fetch the gateway's keys");
          return;
        case 'key_ignored':
          logger.warn(fields, 'ignored a gateway key');
      }
    },
    onStateChange(state, why) {
      if (state === 'available') logger.info({ url }, "the gateway's keys are available again: requests are accepted");
      else logger.warn(why, "cannot fetch the gateway's keys: requests are refused with 503");
    },
  });
  const metric = (name: string, help: string, read: () => number | undefined) =>
    registerScraped({ name: `gateway_keys_${name}`, help, rows: () => [[[], read()]] }, metrics);
  metric('age_seconds', "Seconds since the gateway's key set was last confirmed.", () => {
    const { ageMs } = keys.stats;
    return ageMs === undefined ? undefined : ageMs / 1000;
  });
  metric('held', 'Number of usable gateway keys.', () => keys.stats.keys);
  metric('fetches_total', "Attempts to fetch the gateway's key set.", () => keys.stats.fetches);
  metric('fetch_failures_total', "Failed attempts to fetch the gateway's key set.", () => keys.stats.failures);
  return keys;
}

const readEveryMs = 10_000;
const timeoutMs = 1_000;
/** The tolerance of verifiers, and a second because `Date` has no fractions. */
const mostBehindMs = 6_000;
/** With the lifetime of a signature. A clock that is less ahead refuses nothing. */
const mostAheadMs = 36_000;

/**
 * Creates a check that finds out whether this process refuses every request because its clock and the gateway's differ.
 * Reads the gateway's clock from the `Date` of a response, not from requests: anyone on the network can send one with
 * an old signature. Between two readings, a monotonic clock continues it.
 *
 * @param url The gateway's key set. While it does not respond, the last reading counts.
 */
function gatewayClockCheck(url: string): HealthCheck {
  let gatewayStartMs = Number.NaN;
  let nextAtMs = 0;

  /** Does not keep the probe waiting, which may have a timeout of a second. */
  function readAgain(): void {
    if (performance.now() < nextAtMs) return;
    nextAtMs = performance.now() + readEveryMs;
    fetch(url, { method: 'HEAD', redirect: 'error', signal: AbortSignal.timeout(timeoutMs) }).then(
      ({ headers }) => {
        gatewayStartMs = Date.parse(headers.get('date') ?? '') - performance.now();
      },
      // The check of the gateway's keys reports this.
      () => {},
    );
  }

  return () => {
    readAgain();
    const aheadMs = Date.now() - (gatewayStartMs + performance.now());
    if (aheadMs < -mostBehindMs) return `the clock is ${Math.round(-aheadMs / 1000)} s behind the gateway's`;
    if (aheadMs > mostAheadMs) return `the clock is ${Math.round(aheadMs / 1000)} s ahead of the gateway's`;
    return undefined;
  };
}
