import type { FaultStack, Part } from './stack.ts';
import type { Traffic } from './traffic.ts';

export type Fault = Readonly<{
  name: string;
  /** What must be different before traffic begins. `restore` ends it afterwards. */
  prepare?(stack: FaultStack): Promise<unknown>;
  restore?(stack: FaultStack): Promise<unknown>;
  /**
   * Makes a part fail, and ends the failure. Settles when the part has started again: it accepts connections, or
   * continues.
   *
   * @returns A text about what else was seen, or nothing.
   * @throws Error if the fault itself did not go as promised.
   */
  run(stack: FaultStack, traffic: Traffic): Promise<unknown>;
  /** Only requests to these may fail. Default: to none. */
  fails?: readonly Part[] | 'all';
  /** Only requests sent within this time after the fault began may fail. */
  failsForMs?: number;
  /** The alerts that fire, without `Countersign`. */
  alerts?: readonly string[];
  /** A wait that is longer than the time-out of the routes, and why that is so. */
  longestMs?: number;
  /** Why this machine cannot run it. */
  missing?(): string | undefined;
}>;
