import type { Fault } from '../fault.ts';

/** Faults in Redis and PostgreSQL. */
export const storeFaults: readonly Fault[] = [
  {
    name: 'Redis killed',
    fails: 'all',
    alerts: ['RedisDown', 'IdentityUnavailable'],
    async run({ redis, hold }) {
      await redis.kill();
      await hold(8_000);
      await redis.start();
    },
  },
  {
    name: 'Redis hung',
    fails: 'all',
    alerts: ['RedisDown', 'IdentityUnavailable'],
    async run({ redis, hold }) {
      process.kill(redis.pid(), 'SIGSTOP');
      await hold(10_000);
      process.kill(redis.pid(), 'SIGCONT');
    },
  },
  {
    name: 'PostgreSQL killed',
    fails: 'all',
    alerts: ['ServiceErrors'],
    async run({ postgres, hold }) {
      await postgres.kill();
      await hold(8_000);
      await postgres.start();
    },
  },
  {
    name: 'PostgreSQL hung',
    fails: 'all',
    alerts: ['ServiceErrors'],
    async run({ postgres, hold }) {
      const pids = postgres.pids();
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      await hold(15_000);
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    },
  },
];
