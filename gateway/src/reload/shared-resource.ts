import { isDeepStrictEqual } from 'node:util';

/** One use of a resource. The resource stays open until every use of it is released. */
export type ResourceRef<Resource> = Readonly<{ resource: Resource; release(): void }>;

/**
 * Reference-counted resources, reused across reloads when their configuration is unchanged. Two configurations can be in use at once, and
 * share the resources that are equal in both.
 */
export type SharedResource<Config, Resource, Dependencies extends readonly object[] = readonly []> = Readonly<{
  /** @param dependencies Objects that the resource uses. A resource is reused only with the same objects. */
  acquire(config: Config, ...dependencies: Dependencies): ResourceRef<Resource>;
  /** Settles when every released resource has closed. */
  closed(): Promise<void>;
}>;

export type SharedResourceOptions<Config, Resource, Dependencies extends readonly object[]> = Readonly<{
  /** Only resources of the same name are compared with each other. Equal configurations have the same name. */
  nameOf(config: Config): string;
  /** Its errors are thrown by `acquire`. */
  open(config: Config, ...dependencies: Dependencies): Resource;
  /** Called once, after the last release. Must not throw or reject. */
  close(resource: Resource): void | Promise<void>;
}>;

export function createSharedResource<Config, Resource, Dependencies extends readonly object[] = readonly []>(
  options: SharedResourceOptions<Config, Resource, Dependencies>,
): SharedResource<Config, Resource, Dependencies> {
  type Entry = {
    readonly config: Config;
    readonly dependencies: Dependencies;
    readonly resource: Resource;
    references: number;
  };
  const byName = new Map<string, Entry[]>();
  const closing = new Set<Promise<void>>();

  function findOrOpen(config: Config, dependencies: Dependencies): Entry {
    const name = options.nameOf(config);
    const entries = byName.get(name) ?? [];
    const matches = (entry: Entry) =>
      entry.dependencies.every((dependency, index) => dependency === dependencies[index]) &&
      isDeepStrictEqual(entry.config, config);
    const found = entries.find(matches);
    if (found !== undefined) return found;
    const entry: Entry = { config, dependencies, resource: options.open(config, ...dependencies), references: 0 };
    byName.set(name, [...entries, entry]);
    return entry;
  }

  function release(entry: Entry): void {
    entry.references -= 1;
    if (entry.references > 0) return;
    const name = options.nameOf(entry.config);
    const others = byName.get(name)?.filter((other) => other !== entry) ?? [];
    if (others.length > 0) byName.set(name, others);
    else byName.delete(name);
    const closed = Promise.resolve(options.close(entry.resource)).finally(() => closing.delete(closed));
    closing.add(closed);
  }

  return {
    acquire(config, ...dependencies) {
      const entry = findOrOpen(config, dependencies);
      entry.references += 1;
      let isReleased = false;
      return {
        resource: entry.resource,
        release() {
          if (isReleased) return;
          isReleased = true;
          release(entry);
        },
      };
    },
    async closed() {
      await Promise.all(closing);
    },
  };
}
