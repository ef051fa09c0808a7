import type { Response } from 'supertest';
import { type AccountsWorld, freshAddress } from './accounts-world.ts';

/** The origin of emailed links in these tests. */
export const pagesOrigin = 'https://app.example.test';

type Sent = Readonly<{ headers?: Readonly<Record<string, string>>; values?: Readonly<Record<string, string>> }>;

/** A browser without JavaScript. It keeps cookies, and submits the forms of a page. */
export function pageVisitor(world: AccountsWorld, ip = freshAddress()) {
  const jar = new Map<string, string>();

  async function send(method: 'GET' | 'POST', target: string, { headers = {}, values }: Sent = {}): Promise<Response> {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await world.call(method, target, {
      ip,
      ...(values && { body: String(new URLSearchParams(values)), contentType: 'application/x-www-form-urlencoded' }),
      headers: { ...(cookie && { cookie }), ...headers },
    });
    for (const line of (response.headers['set-cookie'] as unknown as string[] | undefined) ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  return {
    jar,
    open: (target: string, headers?: Sent['headers']) => send('GET', target, headers && { headers }),
    /** Submits the first form of a page, with these values in addition to its hidden fields. */
    submit(page: Response, values: Sent['values'], headers: Sent['headers'] = {}): Promise<Response> {
      const { action, hidden } = formIn(page);
      return send('POST', action, { values: { ...hidden, ...values }, headers: { origin: pagesOrigin, ...headers } });
    },
    /** Submits the form of a page that runs this action. */
    act(page: Response, name: string, values: Sent['values'] = {}, headers: Sent['headers'] = {}): Promise<Response> {
      const { action, hidden } = formIn(page, name);
      return send('POST', action, { values: { ...hidden, ...values }, headers: { origin: pagesOrigin, ...headers } });
    },
    post: (target: string, values: Sent['values'], headers?: Sent['headers']) =>
      send('POST', target, { ...(values && { values }), ...(headers && { headers }) }),
  };
}

export type PageVisitor = ReturnType<typeof pageVisitor>;

/**
 * @param name The action of a form of the account. Default: the page's first form.
 * @throws Error when the page has no such form.
 */
export function formIn(
  { text: page, status }: Response,
  name?: string,
): Readonly<{ action: string; hidden: Record<string, string> }> {
  const forms = page.match(/<form.*?<\/form>/gs) ?? [];
  const text = forms.find((form) => name === undefined || form.includes(`name="do" value="${name}"`)) ?? page;
  const [, action] = /<form method="post" action="([^"]+)"/.exec(text) ?? [];
  if (action === undefined) throw new Error(`no form in ${status}: ${text}`);
  const inputs = text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g);
  return { action, hidden: Object.fromEntries([...inputs].map(([, name = '', value = '']) => [name, value])) };
}

/** The error that a page shows. */
export const codeIn = ({ text }: Response): string | undefined => /data-code="([^"]+)"/.exec(text)?.[1];
