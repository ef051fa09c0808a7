import type { FaultStack, Part } from './stack.ts';
import type { Sent, Traffic } from './traffic.ts';

/**
 * For faults that start the gateway's processes again: each signs with ed25519 until it has fetched the services' keys.
 * The shipped alert waits an hour, but only 4 s in the rules of these programs.
 */
export const gatewayStarts = ['AgreedKeysUnused'];

export type Fault = Readonly<{
  name: string;
  /** Changes the stack before traffic starts. `restore` undoes this afterwards. */
  prepare?(stack: FaultStack): Promise<unknown>;
  restore?(stack: FaultStack): Promise<unknown>;
  /**
   * Causes the fault and ends it. Resolves when the part runs again: it accepts connections, or continues.
   *
   * @returns A note for the report, if any.
   * @throws Error if the fault did not go as expected.
   */
  run(stack: FaultStack, traffic: Traffic): Promise<unknown>;
  /** Checks the stack when it is healthy again. @throws Error if a promise is broken. */
  check?(stack: FaultStack): Promise<unknown>;
  /** The requests that may fail: those to some parts, or those for which it returns true. At least one must fail. */
  fails?: readonly Part[] | 'all' | ((sent: Sent) => boolean);
  /** The names of the alerts that must fire, without the prefix `Countersign`. */
  alerts?: readonly string[];
  /** The alerts that it can cause too, depending on timing. No others may fire. */
  mayFire?: readonly string[];
  /** The longest allowed response time, if it exceeds the routes' timeout. */
  longestMs?: number;
  /** Returns why this machine cannot cause the fault. Undefined if it can. */
  missing?(): string | undefined;
}>;
