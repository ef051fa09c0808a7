import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { createClient } from '@countersign/client';
import { expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { password } from '../../stacks/client.ts';
import { repository } from '../../stacks/stack.ts';

const run = promisify(execFile);

/** Tests packages/client against the real services. @param gateway The gateway's URL, once it runs. */
export function testClientPackage(gateway: () => string): void {
  test('the program in the README of packages/client works as printed', async () => {
    const page = readFileSync(resolve(repository, 'packages/client/README.md'), 'utf8');
    const code = /```js\n([\s\S]*?)```/.exec(page)?.[1]?.replace('http://127.0.0.1:8080', gateway()) ?? '';
    const options = ['--conditions=source', '--input-type=module', '--eval', code];
    const { stdout } = await run(process.execPath, options, { cwd: repository });
    expect(stdout).toBe('agent@acme.test is in acme\n1 of the members\n');
  });

  test('packages/client keeps a bound session from login to logout, and uses it to resume an event stream', async () => {
    const sessions: (string | undefined)[] = [];
    let kept: string | undefined;
    const store = {
      read: () => kept,
      write(token: string | undefined) {
        kept = token;
      },
    };
    const onSession = (session: { id: string } | undefined) => void sessions.push(session?.id);
    const client = createClient({ baseUrl: gateway(), dpop: true, store, onSession });
    const wrong = await client.logIn({ email: 'agent@acme.test', password: 'wrong' });
    expect(wrong.error?.code).toBe('invalid_credentials');
    const { data: tokens } = await client.logIn({ email: 'agent@acme.test', password });
    expect(tokens?.token_type).toBe('DPoP');
    expect(decodeJwt(tokens?.access_token ?? '')).toMatchObject({ cnf: { jkt: expect.any(String) } });

    const { data: me, response } = await client.api.GET('/v1/users/me');
    expect(me).toMatchObject({ role: 'agent', email: 'agent@acme.test' });
    const stale = await client.api.PATCH('/v1/users/me', {
      params: { header: { 'if-match': '"other"' } },
      body: { phone: '+43 1 58858' },
    });
    expect(stale.error?.code).toBe('precondition_failed');
    const etag = response.headers.get('etag') ?? '';
    const changed = await client.api.PATCH('/v1/users/me', {
      params: { header: { 'if-match': etag } },
      body: { phone: '+43 1 58858' },
    });
    expect(changed.data?.phone).toBe('+43 1 58858');

    const seen: string[] = [];
    // @ts-expect-error a route of this test alone
    for await (const { id, data } of client.events('/recorded/events')) {
      seen.push(`${id} ${data}`);
      if (seen.length === 2) break;
    }
    expect(seen).toEqual(['1 after the start', '2 after 1']);

    await client.logOut();
    expect(client.session).toBeUndefined();
    expect(kept).toBeUndefined();
    expect(sessions).toEqual([tokens?.session_id, undefined]);
    expect((await client.api.GET('/v1/users/me')).error?.code).toBe('token_missing');
  });
}
