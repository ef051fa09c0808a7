import type { KeyPair } from 'dpop';
import createApi, { type Client as Api } from 'openapi-fetch';
import type { operations, paths } from './api-types.ts';
import { type EventPath, type EventStreamOptions, readEvents, type StreamEvent } from './events.ts';
import type { RetryOptions } from './retry.ts';
import { createSend, Proofs } from './send.ts';
import { type RefreshTokenStore, type Session, SessionKeeper, type Tokens, type Transport } from './session.ts';

export type ClientOptions = Readonly<{
  /** The gateway's URL without a path. Defaults to the page's origin. */
  baseUrl?: string;
  /**
   * Where the refresh token is kept: in a `cookie`, which scripts in a browser cannot read, or in the response `body`.
   * Defaults to `cookie` where there is a `document`.
   */
  transport?: Transport;
  /**
   * Binds the session to a key (RFC 9449). `true` uses a key of this installation that cannot be exported. Pass your
   * own key pair if the session outlives the process.
   */
  dpop?: true | KeyPair;
  retry?: RetryOptions;
  /** Stores the refresh token across restarts, with `transport: 'body'`. By default it stays in memory. */
  store?: RefreshTokenStore;
  /** Called when a session begins, changes or ends (with undefined), also in another tab. */
  onSession?: (session: Session | undefined) => void;
  /** Defaults to the global `fetch`. */
  fetch?: (request: Request) => Promise<Response>;
}>;

type JsonBody<Name extends keyof operations> = operations[Name] extends {
  readonly requestBody?: { readonly content: { readonly 'application/json': infer Body } };
}
  ? Omit<NonNullable<Body>, 'transport'>
  : never;

/** Creates a client with at most one session. Create one per process, or per page. */
export function createClient(options: ClientOptions = {}): Client {
  return new Client(options);
}

/** A client for one gateway. Created by {@link createClient}. */
export class Client {
  /** Sends requests, typed by path: `api.GET('/v1/users/me')` resolves to `{ data, error, response }`. */
  readonly api: Api<paths>;
  readonly #public: Api<paths>;
  readonly #keeper: SessionKeeper;
  readonly #send: ReturnType<typeof createSend>;
  readonly #baseUrl: string;
  readonly #store: RefreshTokenStore;
  readonly #transport: Transport;

  constructor(options: ClientOptions) {
    const { location, document } = globalThis as { location?: { origin: string }; document?: object };
    const { baseUrl = location?.origin, dpop, retry = {} } = options;
    if (baseUrl === undefined) throw new TypeError('createClient needs a baseUrl');
    this.#baseUrl = baseUrl.replace(/\/+$/, '');
    this.#transport = options.transport ?? (document === undefined ? 'body' : 'cookie');
    this.#store = options.store ?? inMemory();
    const parts = {
      fetch: options.fetch ?? ((request: Request) => globalThis.fetch(request)),
      proofs: dpop === undefined ? undefined : new Proofs(dpop === true ? undefined : dpop),
      retry,
    };
    const withCookie = this.#transport === 'cookie';
    this.#public = createApi<paths>({
      baseUrl: this.#baseUrl,
      fetch: createSend(parts),
      // The auth-service accepts its cookie only with this header, which a form on another page cannot set.
      ...(withCookie && { credentials: 'include', headers: { 'x-requested-with': 'fetch' } }),
    });
    this.#keeper = new SessionKeeper({
      baseUrl: this.#baseUrl,
      transport: this.#transport,
      store: this.#store,
      onSession: options.onSession ?? (() => {}),
      refresh: (token) =>
        this.#public.POST('/v1/auth/refresh', { body: token === undefined ? {} : { refresh_token: token } }),
    });
    this.#send = createSend(parts, this.#keeper);
    this.api = createApi<paths>({ baseUrl: this.#baseUrl, fetch: this.#send });
  }

  /** The current session. Undefined before a login, and after it has ended. */
  get session(): Session | undefined {
    return this.#keeper.session;
  }

  /**
   * Logs in. An `error` with the code `tenant_selection_required` or `mfa_required` asks for the next step and has the
   * token for it.
   */
  async logIn(body: JsonBody<'logIn'>) {
    return this.#begin(await this.#public.POST('/v1/auth/login', { body: { ...body, transport: this.#transport } }));
  }

  /** Continues a login by choosing a tenant. */
  async chooseTenant(body: JsonBody<'chooseTenant'>) {
    return this.#begin(await this.#public.POST('/v1/auth/login/tenant', { body }));
  }

  /** Finishes a login with a second-factor code. */
  async showSecondFactor(body: JsonBody<'showSecondFactor'>) {
    return this.#begin(await this.#public.POST('/v1/auth/login/mfa', { body }));
  }

  /** Accepts an invitation, as a new person or with the account's password. */
  async acceptInvitation(body: JsonBody<'acceptInvitation'>) {
    const asked = { body: { ...body, transport: this.#transport } };
    return this.#begin(await this.#public.POST('/v1/auth/invitations/accept', asked));
  }

  /** Replaces the session with one in another of the user's tenants. */
  async switchTenant(body: JsonBody<'switchTenant'>) {
    const asked = { body: { ...body, transport: this.#transport } };
    const credentials = this.#transport === 'cookie' ? ({ credentials: 'include' } as const) : {};
    return this.#begin(await this.api.POST('/v1/auth/sessions/switch-tenant', { ...asked, ...credentials }));
  }

  /**
   * Resumes the session from the cookie or the store, for example after a page load. Undefined if there is none.
   *
   * @throws ApiError if the gateway is temporarily unavailable.
   */
  resume(): Promise<Session | undefined> {
    return this.#keeper.resume();
  }

  /** Ends this session, the user's other sessions, or all. After an error the session continues. */
  async logOut(scope: 'this' | 'others' | 'all' = 'this') {
    const refreshToken = this.#transport === 'body' ? await this.#store.read() : undefined;
    const body = { scope, ...(refreshToken !== undefined && { refresh_token: refreshToken }) };
    const result = await this.#public.POST('/v1/auth/logout', { body });
    if (result.response.ok && scope !== 'others') await this.#keeper.end();
    return result;
  }

  /**
   * Reads the server-sent events of a path, with the session's token. See `readEvents` for how it reconnects.
   *
   *     for await (const { event, data } of client.events('/v1/complaints/events')) …
   */
  events(
    path: EventPath | `${EventPath}?${string}`,
    options: EventStreamOptions = {},
  ): AsyncGenerator<StreamEvent, void, undefined> {
    return readEvents(this.#send, this.#baseUrl + path, options);
  }

  /** Stops listening to other tabs. The session does not end. */
  close(): void {
    this.#keeper.close();
  }

  async #begin<Result extends Readonly<{ data?: Tokens }>>(result: Result): Promise<Result> {
    if (result.data !== undefined) await this.#keeper.adopt(result.data);
    return result;
  }
}

function inMemory(): RefreshTokenStore {
  let kept: string | undefined;
  return {
    read: () => kept,
    write(token) {
      kept = token;
    },
  };
}
