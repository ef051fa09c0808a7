/** Sends JSON requests to the gateway, with an optional token. */
export type Answer = Readonly<{
  status: number;
  headers: Headers;
  body: Record<string, unknown> & { items?: unknown[] };
  text: string;
}>;

export type CallOptions = Readonly<{
  token?: string | undefined;
  method?: string;
  headers?: Record<string, string>;
  body?: unknown;
}>;

export async function call(url: string, { token, method, headers = {}, body }: CallOptions = {}): Promise<Answer> {
  const response = await fetch(url, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : {}, text };
}

export const password = 'correct horse battery staple';

export type Session = Readonly<{ token: string; refreshToken: string }>;

/** @throws Error with the response if the login did not succeed. */
export async function logIn(gatewayUrl: string, email: string, headers = {}): Promise<Session> {
  const answer = await call(`${gatewayUrl}/v1/auth/login`, { body: { email, password }, headers });
  const { access_token: token, refresh_token: refreshToken } = answer.body;
  if (typeof token !== 'string' || typeof refreshToken !== 'string')
    throw new Error(`login: ${answer.status} ${answer.text}`);
  return { token, refreshToken };
}

/** The email addresses of demo users. */
export const people = ['complainant', 'agent', 'admin'].flatMap((role) => [`${role}@acme.test`, `${role}@globex.test`]);

/** Logs in this many times, rotating through demo users and gateways. */
export async function openSessions(gateways: readonly string[], count: number): Promise<Session[]> {
  const sessions: Session[] = [];
  for (let index = 0; index < count; index += 1) {
    // Each login has its own address, because an address with hundreds of logins is throttled.
    const headers = { 'x-forwarded-for': `10.0.${index >> 8}.${index & 255}` };
    const [gateway = '', email = ''] = [gateways[index % gateways.length], people[index % people.length]];
    sessions.push(await logIn(gateway, email, headers));
  }
  return sessions;
}

/** @throws Error if the response is not 204. */
export async function logOut(gateway: string, { token }: Session): Promise<void> {
  const { status, text } = await call(`${gateway}/v1/auth/logout`, { method: 'POST', token });
  if (status !== 204) throw new Error(`logout: ${status} ${text}`);
}
