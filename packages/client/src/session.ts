import type { components } from './api-types.ts';
import { type AccessToken, ApiError, type Problem, type TokenSource } from './send.ts';
import { Tabs } from './tabs.ts';

export type Tokens = components['schemas']['Tokens'];

/** The current login. */
export type Session = Readonly<{
  id: string;
  user: Tokens['user'];
  tenant: Tokens['tenant'];
}>;

/** Keeps the refresh token outside of browsers, for example in the system's keychain. */
export type RefreshTokenStore = Readonly<{
  read(): Promise<string | undefined> | string | undefined;
  /** Deletes the token if undefined. */
  write(token: string | undefined): Promise<void> | void;
}>;

export type Transport = 'body' | 'cookie';

/** Sends the refresh request. `refreshToken` is undefined with cookies. */
export type Refresh = (
  refreshToken: string | undefined,
) => Promise<Readonly<{ data?: Tokens; error?: Problem; response: Response }>>;

type SessionParts = Readonly<{
  /** Separates tabs with different gateways. */
  baseUrl: string;
  transport: Transport;
  store: RefreshTokenStore;
  refresh: Refresh;
  /** Called when a session begins, changes or ends (undefined). */
  onSession: (session: Session | undefined) => void;
}>;

type State = Readonly<{ accessToken: AccessToken; expiresAtMs: number; session: Session }>;

/** How long before it expires a token is refreshed, so that it lasts for the request. */
const aheadMs = 30_000;

/** Error codes of a refresh that end the session. */
const endings: ReadonlySet<string> = new Set([
  'invalid_refresh_token',
  'refresh_token_reused',
  'session_expired',
  'session_revoked',
]);

/** Keeps a session: the access token in memory, and the refresh token in the cookie or the store. */
export class SessionKeeper implements TokenSource {
  readonly #parts: SessionParts;
  readonly #tabs: Tabs<State> | undefined;
  #state: State | undefined;
  #flight: Promise<State | undefined> | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    if (parts.transport === 'cookie') {
      this.#tabs = new Tabs(`countersign ${parts.baseUrl}`, (state) => this.#set(state));
    }
  }

  get session(): Session | undefined {
    return this.#state?.session;
  }

  async token(): Promise<AccessToken | undefined> {
    const state = this.#state;
    if (state === undefined || state.expiresAtMs - aheadMs > Date.now()) return state?.accessToken;
    return this.replace(state.accessToken);
  }

  async replace(token: AccessToken): Promise<AccessToken | undefined> {
    return (await this.#refreshed(token))?.accessToken;
  }

  /** Resumes the session from the cookie or the store. Undefined if there is none. */
  async resume(): Promise<Session | undefined> {
    return (this.#state ?? (await this.#refreshed(undefined)))?.session;
  }

  /** Stores the tokens from a login or a refresh. */
  async adopt(tokens: Tokens): Promise<State> {
    const { access_token: value, token_type: scheme, expires_in, refresh_token, session_id: id, user, tenant } = tokens;
    if (refresh_token !== undefined) await this.#parts.store.write(refresh_token);
    const state: State = {
      accessToken: { value, scheme },
      expiresAtMs: Date.now() + expires_in * 1000,
      session: { id, user, tenant },
    };
    this.#set(state);
    this.#tabs?.announce(state);
    return state;
  }

  async end(): Promise<void> {
    await this.#parts.store.write(undefined);
    this.#set(undefined);
    this.#tabs?.announce(undefined);
  }

  close(): void {
    this.#tabs?.close();
  }

  #set(state: State | undefined): void {
    const changed = state?.session.id !== this.#state?.session.id;
    this.#state = state;
    if (changed) this.#parts.onSession(state?.session);
  }

  /** Runs one refresh at a time for all waiting requests. @param stale The token to replace. */
  #refreshed(stale: AccessToken | undefined): Promise<State | undefined> {
    if (this.#state?.accessToken.value !== stale?.value) return Promise.resolve(this.#state);
    this.#flight ??= this.#inOneTab(stale).finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  #inOneTab(stale: AccessToken | undefined): Promise<State | undefined> {
    const refresh = () => this.#refresh();
    if (this.#tabs === undefined) return refresh();
    return this.#tabs.inOneTab(
      refresh,
      () => this.#state?.accessToken.value !== stale?.value,
      () => this.#state,
    );
  }

  /** @throws ApiError if the session can perhaps be resumed later. */
  async #refresh(): Promise<State | undefined> {
    const { store, transport } = this.#parts;
    const refreshToken = transport === 'body' ? await store.read() : undefined;
    if (transport === 'body' && refreshToken === undefined) return undefined;
    const { data, error, response } = await this.#parts.refresh(refreshToken);
    if (data !== undefined) return this.adopt(data);
    if (error === undefined || !endings.has(error.code)) throw new ApiError(response.status, error);
    await this.end();
    return undefined;
  }
}
