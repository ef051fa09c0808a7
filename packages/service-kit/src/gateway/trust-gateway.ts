import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type AgreementOptions,
  createVerifier,
  type GatewayKeys,
  type Identity,
  memoryReplay,
  type ReplayStore,
  redisReplay,
  secretGatewayKeys,
  unavailableReasons,
  verifyUpgrade,
} from '@countersign/identity';
import { publishAgreementKeys, verifyIdentity } from '@countersign/identity/express';
import type { Request, RequestHandler } from 'express';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { addToLog } from '../http/request-log.ts';
import { type CommonConfig, ConfigError, gatewayKeysUrl } from '../process/config.ts';
import type { HealthCheck } from '../process/health.ts';
import type { Logger } from '../process/logger.ts';
import { followGatewayKeys } from './follow-gateway-keys.ts';

type TrustConfig = Pick<
  CommonConfig,
  | 'GATEWAY_KEYS_URL'
  | 'GATEWAY_INSECURE_TRANSPORT'
  | 'GATEWAY_INTERNAL_PORT'
  | 'GATEWAY_SECRET'
  | 'GATEWAY_SECRET_NEXT'
  | 'AGREEMENT_KEYS'
  | 'AGREEMENT_KEY'
  | 'REPLAY_WITHOUT_REDIS'
>;

export type TrustOptions = Readonly<{
  /** This service's name in gateway.yaml. Identities for other services are refused. */
  audience: string;
  config: TrustConfig;
  /** Shares used nonces between instances. If undefined, this process keeps its own. */
  redis: Redis | undefined;
  logger: Logger;
  metrics: Registry;
  /** See `VerifyIdentityOptions.stream`. */
  streams?: ((req: Request) => boolean) | undefined;
}>;

export type GatewayTrust = Readonly<{
  /** Refuses requests that the gateway did not sign for this service. */
  handler: RequestHandler;
  /** Verifies an upgrade request. Undefined if it was refused. */
  upgrade(req: IncomingMessage, socket: Duplex): Promise<Identity | undefined>;
  /** Publishes this service's keys for agreement, if the service serves its own key set before `handler`. */
  publishKeys: RequestHandler;
  /** Readiness checks for the keys and the replay memory. */
  checks: Readonly<Record<'gateway_keys' | 'replay_memory', HealthCheck>>;
  /**
   * Starts fetching the gateway's keys in the background. Resolves once requests can be verified, or after two seconds,
   * so that a missing gateway or Redis does not keep the service from starting.
   */
  start(): Promise<void>;
  stop(): void;
}>;

const startWithinMs = 2_000;
const checkAgainMs = 20;

/**
 * Verifies the gateway's signed identity, in the same way for every service.
 *
 * @throws ConfigError if the keys for agreement, or the URL of the gateway's keys, are not usable.
 */
export function trustGateway(options: TrustOptions): GatewayTrust {
  const { audience, logger } = options;
  const source = keySource(options);
  const { replay, check } = replayMemory(options);
  const agreement = agreementOf(options);
  const parts = { audience, keys: source.keys, replay };
  const verifier =
    agreement === undefined
      ? createVerifier(parts)
      : orConfigError('AGREEMENT_KEYS', () => createVerifier({ ...parts, agreement }));
  const checks = {
    gateway_keys: () => (source.isReady() ? undefined : "the gateway's keys are not loaded"),
    replay_memory: check,
  };
  return {
    handler: verifyIdentity({
      verifier,
      ...(options.streams && { stream: options.streams }),
      onRefused: (_req, res, { reason }) => addToLog(res, { ...codeAndFaultOf(reason), reason }),
    }),
    upgrade: verifyUpgrade({
      verifier,
      onRefused: (req, { reason }) => logger.warn({ path: req.url?.split('?')[0], reason }, 'an upgrade was refused'),
    }),
    publishKeys: publishAgreementKeys(verifier),
    checks,
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
function orConfigError<T>(variable: keyof TrustConfig, make: () => T): T {
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

type ReplayMemory = Readonly<{ replay: ReplayStore; check: HealthCheck }>;

function replayMemory({ config, redis, logger }: TrustOptions): ReplayMemory {
  if (redis === undefined) {
    const replay = memoryReplay();
    // Refuses signatures from before the start, because they may have been used before a restart.
    const check = () => (Date.now() < replay.startsAtMs ? 'the replay memory has just started' : undefined);
    return { replay, check };
  }
  const onUnavailable = config.REPLAY_WITHOUT_REDIS;
  const consequence = { refuse: 'requests are refused with 503', memory: 'this instance uses its own memory' }[
    onUnavailable
  ];
  const replay = redisReplay(redis, {
    onUnavailable,
    onStateChange(state, cause) {
      if (state === 'available') logger.info('replay memory in redis is available again');
      else logger.warn({ err: cause }, `replay memory in redis is unavailable: ${consequence}`);
    },
  });
  return { replay, check: () => replay.check() };
}

type GatewayKeySource = Readonly<{ keys: GatewayKeys; isReady(): boolean; start(): Promise<void>; stop(): void }>;

/** Uses the shared secrets if they are configured, or else the gateway's published keys. */
function keySource({ config, logger, metrics }: TrustOptions): GatewayKeySource {
  const secrets = [config.GATEWAY_SECRET, config.GATEWAY_SECRET_NEXT].filter((secret) => secret !== undefined);
  if (secrets.length > 0) {
    const keys = secretGatewayKeys(secrets.map((secret) => ({ secret })));
    return { keys, isReady: () => true, async start() {}, stop() {} };
  }
  const from = { url: gatewayKeysUrl(config), insecureTransport: config.GATEWAY_INSECURE_TRANSPORT };
  const keys = orConfigError('GATEWAY_KEYS_URL', () => followGatewayKeys(from, { logger, metrics }));
  return { keys, isReady: () => keys.ready, start: () => keys.start(), stop: () => keys.stop() };
}
