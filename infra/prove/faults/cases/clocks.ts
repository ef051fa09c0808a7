import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from '../measure.ts';
import type { FaultStack, Part } from '../stack.ts';

// Debian's package `faketime`. It changes one process's clock, but not its monotonic clock.
const [library] = globSync('/usr/lib/*/faketime/libfaketime.so.1');

const offsetFile = ({ place }: FaultStack) => join(place.home, 'clock-offset');

const withFakeClock = (stack: FaultStack) => ({
  env: {
    LD_PRELOAD: library ?? '',
    FAKETIME_TIMESTAMP_FILE: offsetFile(stack),
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    // Otherwise the process notices a jump up to 10 s later.
    FAKETIME_NO_CACHE: '1',
  },
});

const terminate = (pid: number) => process.kill(pid, 'SIGTERM');

const jump = (part: Part, offset: string, fails: Fault['fails']): Fault => ({
  name: `the clock of ${part} jumps by ${offset}`,
  fails: fails ?? [],
  alerts: ['ConfigurationFault', 'TargetUnhealthy'],
  missing: () => (library ? undefined : 'libfaketime is missing: apt-get install faketime'),
  async prepare(stack) {
    writeFileSync(offsetFile(stack), '+0');
    await stack.restart(part, terminate, withFakeClock(stack));
  },
  async run(stack) {
    writeFileSync(offsetFile(stack), offset);
    await stack.hold(8_000);
    writeFileSync(offsetFile(stack), '+0');
  },
  restore: ({ restart }) => restart(part, terminate),
});

export const clockFaults: readonly Fault[] = [
  jump('complaint-service', '+60', ['complaint-service']),
  jump('complaint-service', '-60', ['complaint-service']),
  jump('gateway', '+60', 'all'),
];
