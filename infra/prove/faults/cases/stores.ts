import { execFileSync } from 'node:child_process';
import type { Fault } from '../measure.ts';
import { hang } from '../stack.ts';
import type { Sent } from '../traffic.ts';

/** Services respond 503 to every request but GET and HEAD while Redis is down, which counts as their failure. */
const withoutReplayMemory = {
  fails: ({ result }: Sent) => !result.isRead,
  alerts: ['IdentityUnavailable', 'ReplayNotShared', 'ServiceErrors', 'TargetUnhealthy'],
  // The gateway refuses nested calls that write.
  mayFire: ['InternalFault'],
} as const;

export const storeFaults: readonly Fault[] = [
  {
    name: 'Redis killed',
    ...withoutReplayMemory,
    alerts: ['RedisDown', ...withoutReplayMemory.alerts],
    async run({ redis, hold }) {
      await redis.kill();
      await hold(15_000);
      await redis.start();
    },
  },
  {
    name: 'Redis hung',
    ...withoutReplayMemory,
    alerts: ['RedisDown', ...withoutReplayMemory.alerts],
    run: ({ redis, hold }) => hang([redis.pid()], () => hold(15_000)),
  },
  {
    name: 'Redis gets no more memory',
    ...withoutReplayMemory,
    async run({ redis, hold }) {
      redisCommand(redis.url, 'config', 'set', 'maxmemory', '1');
      await hold(8_000);
      redisCommand(redis.url, 'config', 'set', 'maxmemory', '0');
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
    run: ({ postgres, hold }) => hang(postgres.pids(), () => hold(15_000)),
  },
];

const redisCommand = (url: string, ...args: readonly string[]) => execFileSync('redis-cli', ['-u', url, ...args]);
