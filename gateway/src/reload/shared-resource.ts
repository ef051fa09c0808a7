import { isDeepStrictEqual } from 'node:util';

/** One use of a resource. The resource stays open until every use of it is released. */
export type ResourceRef<Resource> = Readonly<{ resource: Resource; release(): void }>;

type Options<Config, Resource, Dependencies extends readonly object[]> = Readonly<{
  /** Only resources of the same name are compared with each other. Equal configurations have the same name. */
  nameOf(config: Config): string;
  /** Its errors are thrown by `acquire`. */
  open(config: Config, ...dependencies: Dependencies): Resource;
  /** Called once, after the last release. Must not throw or reject. */
  close(resource: Resource): void | Promise<void>;
}>;

type Entry<Config, Resource> = {
  readonly config: Config;
  readonly dependencies: readonly object[];
  readonly resource: Resource;
  references: number;
};

/**
 * Reference-counted resources, reused across reloads when their configuration is unchanged. Two configurations can be in use at once, and
 * share the resources that are equal in both.
 */
export class SharedResource<Config, Resource, Dependencies extends readonly object[] = readonly []> {
  readonly #options: Options<Config, Resource, Dependencies>;
  readonly #byName = new Map<string, readonly Entry<Config, Resource>[]>();
  readonly #closing = new Set<Promise<void>>();

  constructor(options: Options<Config, Resource, Dependencies>) {
    this.#options = options;
  }

  /** @param dependencies Objects that the resource uses. A resource is reused only with the same objects. */
  acquire(config: Config, ...dependencies: Dependencies): ResourceRef<Resource> {
    const name = this.#options.nameOf(config);
    const entries = this.#byName.get(name) ?? [];
    let entry = entries.find(
      (one) =>
        one.dependencies.every((dependency, index) => dependency === dependencies[index]) &&
        isDeepStrictEqual(one.config, config),
    );
    if (entry === undefined) {
      entry = { config, dependencies, resource: this.#options.open(config, ...dependencies), references: 0 };
      this.#byName.set(name, [...entries, entry]);
    }
    const used = entry;
    used.references += 1;
    let isReleased = false;
    const release = () => {
      if (isReleased) return;
      isReleased = true;
      used.references -= 1;
      if (used.references === 0) this.#close(name, used);
    };
    return { resource: used.resource, release };
  }

  /** Settles when every released resource has closed. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing);
  }

  #close(name: string, entry: Entry<Config, Resource>): void {
    const others = this.#byName.get(name)?.filter((other) => other !== entry) ?? [];
    if (others.length > 0) this.#byName.set(name, others);
    else this.#byName.delete(name);
    const closed = Promise.resolve(this.#options.close(entry.resource)).finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
  }
}
