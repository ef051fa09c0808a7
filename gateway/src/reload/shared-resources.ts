import { isDeepStrictEqual } from 'node:util';

/** Works in the background from `start`, which may be called again, until `stop`. `stop` must not throw or reject. */
export type Resource = Readonly<{ start(): void; stop(): void | Promise<void> }>;

type Entry = { readonly name: string; readonly config: unknown; readonly resource: Resource; users: number };

/** The resources that one snapshot uses. Each stays open until every lease that holds it is released. */
export type Lease = ReturnType<ReturnType<typeof createSharedResources>['lease']>;

/**
 * Shares resources across reloads. Two configurations can be in use at once, and share the resources that they both
 * need.
 */
export function createSharedResources() {
  const byName = new Map<string, readonly Entry[]>();
  const stopping = new Set<Promise<void>>();

  function stop({ name, resource }: Entry): void {
    const others = byName.get(name)?.filter((other) => other.resource !== resource) ?? [];
    if (others.length > 0) byName.set(name, others);
    else byName.delete(name);
    const stopped = Promise.resolve(resource.stop()).finally(() => stopping.delete(stopped));
    stopping.add(stopped);
  }

  return {
    lease() {
      const held = new Set<Entry>();
      return {
        /**
         * Shares the resource with this name if its configuration is equal. Otherwise opens another one, which may
         * throw.
         *
         * @param config Everything that the resource depends on.
         */
        use<Each extends Resource>(name: string, config: unknown, open: () => Each): Each {
          const opened = byName.get(name) ?? [];
          const equal = opened.find((entry) => isDeepStrictEqual(entry.config, config));
          const entry = equal ?? { name, config, resource: open(), users: 0 };
          if (equal === undefined) byName.set(name, [...opened, entry]);
          if (!held.has(entry)) entry.users += 1;
          held.add(entry);
          return entry.resource as Each;
        },
        start() {
          for (const { resource } of held) resource.start();
        },
        /** May be called more than once. */
        release() {
          // Releases in reverse order, because a later resource may use earlier ones.
          for (const entry of [...held].reverse()) {
            entry.users -= 1;
            if (entry.users === 0) stop(entry);
          }
          held.clear();
        },
      };
    },
    /** Settles when every released resource has stopped. */
    async stopped(): Promise<void> {
      await Promise.all(stopping);
    },
  };
}
