import type { Adapter, AdapterPayload } from 'oidc-provider';

/** The storage of an OpenID provider for as long as it runs. Its built-in memory store warns in every test. */
const stored = new Map<string, AdapterPayload>();
const idsByUid = new Map<string, string>();
const keysByGrant = new Map<string, Set<string>>();

export class OpenIdMemory implements Adapter {
  readonly #model: string;

  constructor(model: string) {
    this.#model = model;
  }

  #key(id: string): string {
    return `${this.#model} ${id}`;
  }

  async upsert(id: string, payload: AdapterPayload): Promise<void> {
    const key = this.#key(id);
    stored.set(key, payload);
    if (this.#model === 'Session' && payload.uid !== undefined) idsByUid.set(payload.uid, id);
    if (payload.grantId === undefined) return;
    const keys = keysByGrant.get(payload.grantId) ?? new Set();
    keysByGrant.set(payload.grantId, keys.add(key));
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    return stored.get(this.#key(id));
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    const id = idsByUid.get(uid);
    return id === undefined ? undefined : this.find(id);
  }

  async findByUserCode(): Promise<undefined> {
    return undefined;
  }

  async consume(id: string): Promise<void> {
    const payload = stored.get(this.#key(id));
    if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id: string): Promise<void> {
    stored.delete(this.#key(id));
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const key of keysByGrant.get(grantId) ?? []) stored.delete(key);
  }
}
