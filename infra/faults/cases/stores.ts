import type { Fault } from '../fault.ts';

/** Services respond 503 to every request while Redis is down, which counts as their failure. */
export const withoutReplayMemory = ['IdentityUnavailable', 'ServiceErrors', 'TargetUnhealthy'];
/** The gateway refuses nested calls. The feed of revocations, which is one of these requests, is stale after 5 s. */
export const withoutRedis = ['InternalFault', 'RevocationsStale'];

/** Faults in Redis and PostgreSQL. */
export const storeFaults: readonly Fault[] = [
  {
    name: 'Redis killed',
    fails: 'all',
    alerts: ['RedisDown', ...withoutReplayMemory],
    mayFire: withoutRedis,
    async run({ redis, hold }) {
      await redis.kill();
      await hold(8_000);
      await redis.start();
    },
  },
  {
    name: 'Redis hung',
    fails: 'all',
    alerts: ['RedisDown', ...withoutReplayMemory],
    mayFire: withoutRedis,
    async run({ redis, hold }) {
      process.kill(redis.pid(), 'SIGSTOP');
      await hold(10_000);
      process.kill(redis.pid(), 'SIGCONT');
    },
  },
  {
    name: 'PostgreSQL killed',
    fails: 'all',
    alerts: ['ServiceErrors', 'RevocationsStale'],
    async run({ postgres, hold }) {
      await postgres.kill();
      await hold(8_000);
      await postgres.start();
    },
  },
  {
    name: 'PostgreSQL hung',
    fails: 'all',
    alerts: ['ServiceErrors', 'RevocationsStale'],
    async run({ postgres, hold }) {
      const pids = postgres.pids();
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      await hold(15_000);
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    },
  },
];
