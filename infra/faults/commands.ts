import { join } from 'node:path';
import { type StartedProcess, startProcess } from '@countersign/testing';
import { repository } from '../e2e/stack.ts';
import type { FaultStack } from './stack.ts';

/** Runs `countersign` on the stack's configuration. */
export const countersign = ({ configFile, place }: FaultStack, ...args: readonly string[]): StartedProcess =>
  start('gateway/bin/countersign.js', [...args, '--config', configFile], place.env);

/** Runs `countersign-auth` on the stack's auth-service. */
export const countersignAuth = ({ place }: FaultStack, ...args: readonly string[]): StartedProcess =>
  start('auth-service/bin/countersign-auth.js', args, place.env);

const start = (program: string, args: readonly string[], env: Readonly<Record<string, string>>) =>
  startProcess({ args: [join(repository, program), ...args], env });

/** @throws Error with its output if it failed. */
export async function succeeds(command: StartedProcess): Promise<string> {
  if ((await command.exited) !== 0) throw new Error(command.output());
  return command.output();
}
