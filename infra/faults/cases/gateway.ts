import type { Fault } from '../fault.ts';

/** Killed gateway processes. */
export const gatewayFaults: readonly Fault[] = [
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
