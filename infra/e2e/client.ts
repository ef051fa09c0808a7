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

/** @throws Error with the response if the login did not succeed. */
export async function logIn(
  gatewayUrl: string,
  email: string,
): Promise<Readonly<{ token: string; refreshToken: string }>> {
  const answer = await call(`${gatewayUrl}/v1/auth/login`, { body: { email, password } });
  const { access_token: token, refresh_token: refreshToken } = answer.body;
  if (typeof token !== 'string' || typeof refreshToken !== 'string')
    throw new Error(`login: ${answer.status} ${answer.text}`);
  return { token, refreshToken };
}
