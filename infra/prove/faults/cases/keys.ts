import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readAllKeys } from '../../../../gateway/src/keys/key-files.ts';
import type { Fault } from '../measure.ts';
import { succeeds } from '../stack.ts';

const rotations = 8;

export const keyFaults: readonly Fault[] = [
  {
    name: 'rotations of the gateway keys killed',
    async run(stack) {
      const directory = join(stack.place.home, 'gateway-keys');
      const began = performance.now();
      await succeeds(stack.countersign('keys', 'rotate'));
      const wholeMs = performance.now() - began;
      // Throws if a file has an incomplete key.
      const count = () => readAllKeys(directory, 'owner').length;
      const before = count();
      for (let turn = 1; turn <= rotations; turn += 1) {
        // A rotation writes its files last.
        const rotation = stack.countersign('keys', 'rotate');
        await delay(wholeMs * (0.7 + (0.5 * turn) / rotations));
        await rotation.stop('SIGKILL');
        count();
      }
      const after = count();
      await succeeds(stack.countersign('keys', 'rotate'));
      return `${rotations} killed rotations wrote ${after - before} keys, each whole; the next one succeeded`;
    },
  },
  {
    name: 'auth-service killed while its keys rotate',
    fails: ['auth-service'],
    async run(stack) {
      await stack.restart('auth-service', async (pid) => {
        const rotation = stack.countersignAuth('keys', 'rotate');
        await rotation.waitFor(/./).catch(() => {});
        process.kill(pid, 'SIGKILL');
      });
      await stack.ready();
      const keys = await succeeds(stack.countersignAuth('keys', 'list'));
      if (keys.match(/ active /g)?.length !== 1) throw new Error(keys);
    },
  },
];
