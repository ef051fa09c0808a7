import { eventually } from '@countersign/testing';
import { ask, type Client, type Question, type Reply } from './ask.ts';

/** A successful response that a client received, so its effect must survive the fault. */
export type Acknowledged = Readonly<{
  what: string;
  /** @throws Error while the stack cannot answer. */
  holds(): Promise<boolean>;
}>;

const atOnce = 8;

/** @returns Acknowledged effects that were lost. */
export async function findLost(all: readonly Acknowledged[]): Promise<readonly string[]> {
  const lost: string[] = [];
  const waiting = all.values();
  async function checkSome(): Promise<void> {
    for (const { what, holds } of waiting) if (!(await eventually(holds, 30_000))) lost.push(what);
  }
  await Promise.all(Array.from({ length: atOnce }, checkSome));
  return lost;
}

/** Like `ask`, but throws on a response from an unhealthy stack. */
export async function askForSure(client: Client, question: Question): Promise<Reply> {
  const reply = await ask(client, question);
  if (reply.status >= 500 || reply.status === 429) throw new Error(`${reply.status} ${reply.body.code}`);
  return reply;
}
