import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from '../fault.ts';
import type { Part } from '../stack.ts';

const services: readonly Part[] = ['auth-service', 'users-service', 'complaint-service'];

/** Killed and hung processes. A fault in one service must not affect requests to other services. */
export const processFaults: readonly Fault[] = [
  ...services.flatMap(killedAndHung),
  {
    name: 'complaint-service hung twice',
    fails: ['complaint-service'],
    // When the service continues, Node closes connections that seem idle, and the gateway retries their requests.
    async run({ pidOf, responseMs }) {
      const pid = pidOf('complaint-service');
      process.kill(pid, 'SIGSTOP');
      await delay(responseMs - 1_000);
      process.kill(pid, 'SIGCONT');
      await delay(20);
      process.kill(pid, 'SIGSTOP');
      await delay(responseMs + 2_000);
      process.kill(pid, 'SIGCONT');
    },
  },
  {
    name: 'a gateway worker killed',
    fails: 'all',
    failsForMs: 100,
    async run({ workers }) {
      const [worker = 0] = workers();
      process.kill(worker, 'SIGKILL');
    },
  },
  {
    name: 'the gateway primary killed',
    fails: 'all',
    run: ({ restart }) => restart('gateway'),
  },
];

function killedAndHung(part: Part): Fault[] {
  return [
    {
      name: `${part} killed`,
      fails: [part],
      run: ({ restart }) => restart(part),
    },
    {
      name: `${part} hung`,
      fails: [part],
      alerts: ['TargetUnhealthy'],
      async run({ pidOf, responseMs, hold }) {
        process.kill(pidOf(part), 'SIGSTOP');
        await delay(responseMs);
        await hold(8_000);
        process.kill(pidOf(part), 'SIGCONT');
      },
    },
  ];
}
