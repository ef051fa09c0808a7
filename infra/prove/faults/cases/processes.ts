import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@countersign/testing';
import { withFlood } from '../flood.ts';
import { type Fault, gatewayStarts } from '../measure.ts';
import { hang, type Part } from '../stack.ts';
import type { Sent } from '../traffic.ts';

const startsWithinMs = 60_000;
const services: readonly Part[] = ['auth-service', 'users-service', 'complaint-service'];

// The process cannot allocate memory, and exits when it tries to.
const limitMemory = (pid: number) => execFileSync('prlimit', ['--pid', String(pid), '--as=1']);
const wantMemory = { count: 4_000, write: `GET / HTTP/1.1\r\nX-Large: ${'a'.repeat(15_000)}` };

/** Killed and hung processes. A fault in one service must not affect requests to other services. */
export const processFaults: readonly Fault[] = [
  ...services.flatMap(killedAndHung),
  {
    name: 'complaint-service hung twice',
    fails: ['complaint-service'],
    alerts: ['TargetUnhealthy', 'BreakerOpen'],
    // When the service continues, Node closes connections that seem idle, and the gateway retries their requests.
    async run({ pidOf, responseMs }) {
      const pids = [pidOf('complaint-service')];
      await hang(pids, () => delay(responseMs - 1_000));
      await delay(20);
      await hang(pids, () => delay(responseMs + 2_000));
    },
  },
  {
    name: 'complaint-service gets no more memory',
    fails: ['complaint-service'],
    mayFire: ['BreakerOpen'],
    // Otherwise it may have enough memory left from an earlier fault.
    prepare: ({ restart }) => restart('complaint-service'),
    run: ({ restart, place }) =>
      withFlood(place.ports.complaints, wantMemory, () => restart('complaint-service', limitMemory)),
  },
  workerKilled(),
  {
    name: 'the gateway primary killed',
    fails: 'all',
    mayFire: gatewayStarts,
    run: ({ restart }) => restart('gateway'),
  },
];

function killedAndHung(part: Part): Fault[] {
  return [
    {
      name: `${part} killed`,
      fails: [part],
      mayFire: ['BreakerOpen'],
      run: ({ restart }) => restart(part),
    },
    {
      name: `${part} hung`,
      fails: [part],
      alerts: ['TargetUnhealthy', part === 'auth-service' ? 'RevocationsStale' : 'BreakerOpen'],
      mayFire: ['BreakerOpen'],
      run: ({ pidOf, responseMs, hold }) => hang([pidOf(part)], () => delay(responseMs).then(() => hold(8_000))),
    },
  ];
}

/** Only requests on the worker's own connections may fail. */
function workerKilled(): Fault {
  let ofWorker: ReadonlySet<string> = new Set();
  let handedOver: ReadonlySet<string> = new Set();
  const isHandedOver = ({ result }: Sent) => handedOver.has(result.from ?? '');
  return {
    name: 'a gateway worker killed',
    fails: (sent) => ofWorker.has(sent.result.from ?? '') || isHandedOver(sent),
    // node:cluster keeps a connection open that its primary handed to a worker which died before accepting it.
    mayHang: isHandedOver,
    mayFire: gatewayStarts,
    async run({ pidOf, workers, place }) {
      const service = pidOf('complaint-service');
      const [worker = 0] = workers();
      // So that both workers have requests in flight at the kill.
      process.kill(service, 'SIGSTOP');
      await delay(400);
      // It accepts no connection between this line and the kill.
      process.kill(worker, 'SIGSTOP');
      ofWorker = clientsOf(worker);
      process.kill(worker, 'SIGKILL');
      process.kill(service, 'SIGCONT');
      await eventually(async () => {
        const metrics = await (await fetch(`http://127.0.0.1:${place.ports.admin}/metrics`)).text();
        if (workers().includes(worker) || !metrics.includes('countersign_workers 2\n')) throw new Error('one worker');
      }, startsWithinMs);
      handedOver = clientsOf(pidOf('gateway'));
    },
  };
}

/** The address and port of each IPv4 client that is connected to a process. Requires Linux. */
function clientsOf(pid: number): ReadonlySet<string> {
  const files = readdirSync(`/proc/${pid}/fd`).map((file) => readlinkSync(`/proc/${pid}/fd/${file}`));
  const connections = readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => files.includes(`socket:[${fields[9]}]`));
  return new Set(
    connections.map(([, , remote = '']) => {
      const [address = '', port = ''] = remote.split(':');
      return `${Buffer.from(address, 'hex').reverse().join('.')}:${Number.parseInt(port, 16)}`;
    }),
  );
}
