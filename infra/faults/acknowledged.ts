import { eventually } from '@countersign/testing';
import { ask, type Client, type Question, type Reply } from './ask.ts';

/** Something that a client got a success for, so it must still be true after the fault. */
export type Acknowledged = Readonly<{
  what: string;
  /** @throws Error while the stack cannot tell. */
  holds(): Promise<boolean>;
}>;

const atOnce = 8;

/** @returns What was acknowledged and is not true. */
export async function findLost(all: readonly Acknowledged[]): Promise<readonly string[]> {
  const lost: string[] = [];
  const waiting = all.values();
  async function checkSome(): Promise<void> {
    for (const { what, holds } of waiting) if (!(await eventually(holds, 30_000))) lost.push(what);
  }
  await Promise.all(Array.from({ length: atOnce }, checkSome));
  return lost;
}

/** Like `ask`, but an answer of a stack that is not well is an error. */
export async function askForSure(client: Client, question: Question): Promise<Reply> {
  const reply = await ask(client, question);
  if (reply.status >= 500 || reply.status === 429) throw new Error(`${reply.status} ${reply.body.code}`);
  return reply;
}
