import { execFileSync } from 'node:child_process';
import type { Fault } from '../fault.ts';
import { withFlood } from '../flood.ts';
import { withoutRedis, withoutReplayMemory } from './stores.ts';

// The process cannot allocate memory, and exits when it tries to.
const limitMemory = (pid: number) => execFileSync('prlimit', ['--pid', String(pid), '--as=1']);
const wantMemory = { count: 4_000, write: `GET / HTTP/1.1\r\nX-Large: ${'a'.repeat(15_000)}` };

/** Processes that run out of memory. */
export const memoryFaults: readonly Fault[] = [
  {
    name: 'complaint-service gets no more memory',
    fails: ['complaint-service'],
    mayFire: ['BreakerOpen'],
    // Otherwise it may have enough memory left from an earlier fault.
    prepare: ({ restart }) => restart('complaint-service'),
    run: ({ restart, place }) =>
      withFlood(place.ports.complaints, wantMemory, () => restart('complaint-service', limitMemory)),
  },
  {
    name: 'Redis gets no more memory',
    fails: 'all',
    alerts: withoutReplayMemory,
    mayFire: withoutRedis,
    async run({ redis, hold }) {
      redisCommand(redis.url, 'config', 'set', 'maxmemory', '1');
      await hold(8_000);
      redisCommand(redis.url, 'config', 'set', 'maxmemory', '0');
    },
  },
];

const redisCommand = (url: string, ...args: readonly string[]) => execFileSync('redis-cli', ['-u', url, ...args]);
