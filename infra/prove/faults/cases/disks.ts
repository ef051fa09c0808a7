import { randomUUID } from 'node:crypto';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from '../measure.ts';
import { type FaultStack, mayMount, succeeds } from '../stack.ts';
import type { Traffic } from '../traffic.ts';

const missing = () => (mayMount ? undefined : 'only root can mount a small disk');

export const diskFaults: readonly Fault[] = [
  {
    name: 'the disk of logs, keys and files full',
    missing,
    async run(stack, traffic) {
      const before = await attach(stack, traffic);
      const free = fill(stack.disks.home);
      const rotation = stack.countersign('keys', 'rotate');
      const code = await rotation.exited;
      const attached = await attach(stack, traffic);
      await stack.hold(5_000);
      free();
      await succeeds(stack.countersign('keys', 'rotate'));
      const after = await attach(stack, traffic);
      if (code !== 1) throw new Error(`keys rotate ended with ${code}`);
      const statuses = [before, attached, after].join(', ');
      if (statuses !== '201, 503 unavailable, 201') throw new Error(`uploads: ${statuses}`);
      return `${rotation.output().trim()}; an upload gets 503; then both succeed`;
    },
  },
  {
    name: 'the disk of PostgreSQL full',
    missing,
    fails: ({ result }) => !result.isRead && result.failure === '503 unavailable',
    alerts: ['ServiceErrors'],
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

/** Uploads a file, which must last if it is acknowledged. @returns The status, and the code of an error. */
async function attach({ origin }: FaultStack, traffic: Traffic): Promise<string> {
  const { path, token } = traffic.complaint();
  const authorization = `Bearer ${token}`;
  const file = `The radiators have been cold since Monday: ${randomUUID()}.\n`.repeat(1_000);
  const reply = await fetch(`${origin}${path}/attachments?name=a.txt`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'text/plain' },
    body: file,
  });
  const { id, code } = (await reply.json()) as { id?: string; code?: string };
  if (reply.status !== 201) return `${reply.status} ${code}`;
  traffic.acknowledge({
    what: `attachment ${id}`,
    async holds() {
      const download = await fetch(`${origin}${path}/attachments/${id}`, { headers: { authorization } });
      if (download.status >= 500) throw new Error(String(download.status));
      return (await download.text()) === file;
    },
  });
  return '201';
}
