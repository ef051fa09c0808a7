import { readFileSync } from 'node:fs';
import { eventually } from '@countersign/testing';
import { readSettings } from '../run/settings.ts';
import { type Child, type ChildSpec, isCompletelyReady, startChild } from '../run/spawn.ts';
import { describeStack } from '../run/stack.ts';
import { type Place, repository } from './stack.ts';

/** How a part differs from the process of `npm start`. */
export type Changes = Readonly<{ nodeOptions?: readonly string[]; env?: Readonly<Record<string, string>> }>;

/** A process of the stack that a suite can stop and start again. */
export type Part = Readonly<{
  name: string;
  env: Readonly<Record<string, string>>;
  /** The id of its last process. */
  pid(): number;
  /** @param changes Apply to this process alone. */
  start(changes?: Changes): void;
  /** Resolves when it is ready and lacks nothing. */
  ready(): Promise<void>;
  /** Resolves when the process has ended. */
  ended(): Promise<unknown>;
  /** Sends a signal, by default SIGTERM, and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<unknown>;
  /** Everything that its processes have logged. */
  log(): string;
}>;

/**
 * Describes processes of `npm start`, in this order.
 *
 * @param env Variables in addition to those of the place.
 */
export function describeParts(
  place: Place,
  names: readonly string[],
  env: Readonly<Record<string, string>> = {},
): readonly ChildSpec[] {
  const all = { ...place.env, ...env };
  const specs = describeStack(readSettings(all));
  return names.map((name) => {
    const spec = specs.find((one) => one.name === name);
    if (spec === undefined) throw new Error(`npm start has no ${name}`);
    return { ...spec, env: { ...all, ...spec.env } };
  });
}

/**
 * Starts processes, and waits until they are ready.
 *
 * @throws Error with the last lines of each, after it has stopped all of them.
 */
export async function startParts(specs: readonly ChildSpec[]): Promise<readonly Part[]> {
  const parts = specs.map(createPart);
  for (const { start } of parts) start();
  try {
    await Promise.all(parts.map(({ ready }) => ready()));
  } catch (cause) {
    await Promise.all(parts.map(({ stop }) => stop()));
    throw new Error(parts.map(({ name, log }) => `${name}:\n${log().slice(-2_000)}`).join('\n'), { cause });
  }
  return parts;
}

function createPart(spec: ChildSpec): Part {
  let child: Child | undefined;
  const ended = async () => child?.ended;
  return {
    name: spec.name,
    env: spec.env,
    pid: () => child?.pid ?? 0,
    start(changes = {}) {
      const nodeOptions = [...(spec.nodeOptions ?? []), ...(changes.nodeOptions ?? [])];
      child = startChild({ ...spec, nodeOptions, env: { ...spec.env, ...changes.env } }, repository);
    },
    ready: () =>
      eventually(async () => {
        if (!(await isCompletelyReady(spec.readyUrl))) throw new Error(`${spec.name} is not ready`);
      }, 180_000),
    ended,
    stop(signal = 'SIGTERM') {
      child?.kill(signal);
      return ended();
    },
    log: () => readFileSync(spec.logFile, 'utf8'),
  };
}
