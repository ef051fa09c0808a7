import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { countersign, succeeds } from '../commands.ts';
import type { Fault } from '../fault.ts';
import { type FaultStack, mayMount } from '../stack.ts';
import type { Traffic } from '../traffic.ts';

const missing = () => (mayMount ? undefined : 'only root can mount a small disk');

/** Full disks. */
export const diskFaults: readonly Fault[] = [
  {
    name: 'the disk of logs, keys and files full',
    missing,
    async run(stack, traffic) {
      const free = fill(stack.disks.home);
      const rotation = countersign(stack, 'keys', 'rotate');
      const code = await rotation.exited;
      const attached = await attach(stack, traffic);
      await stack.hold(5_000);
      free();
      await succeeds(countersign(stack, 'keys', 'rotate'));
      const attachedAgain = await attach(stack, traffic);
      if (code !== 1) throw new Error(`keys rotate ended with ${code}`);
      if (attached !== 503 || attachedAgain !== 201) throw new Error(`an upload: ${attached}, then ${attachedAgain}`);
      return `${rotation.output().trim()}; an upload gets 503; then both succeed`;
    },
  },
  {
    name: 'the disk of PostgreSQL full',
    missing,
    fails: 'all',
    async run({ disks, postgres, hold }) {
      const free = fill(disks.database);
      await hold(10_000);
      free();
      // PostgreSQL stops if it has no space for its write-ahead log.
      if (await postgres.hasEnded()) await postgres.start();
    },
  },
];

/** @returns A function that frees the space again. */
function fill(directory: string): () => void {
  const path = join(directory, 'filler');
  const file = openSync(path, 'w');
  for (const size of [1024 * 1024, 4096, 1]) writeUntilFull(file, Buffer.alloc(size));
  closeSync(file);
  return () => rmSync(path);
}

function writeUntilFull(file: number, block: Buffer): void {
  try {
    for (;;) writeSync(file, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

/** @returns The status of an upload. */
async function attach({ origin }: FaultStack, traffic: Traffic): Promise<number> {
  const { path, token } = traffic.complaint();
  const answer = await fetch(`${origin}${path}/attachments?name=a.txt`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'text/plain' },
    body: 'The radiators have been cold since Monday.\n'.repeat(1_000),
  });
  await answer.arrayBuffer();
  return answer.status;
}
