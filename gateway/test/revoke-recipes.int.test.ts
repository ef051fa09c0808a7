import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { isInstalled } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type EventGateway, type EventWorld, eventSecret, eventWorld } from './event-gateway.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/providers/revoke-calls.md'), 'utf8');
const blockOf = (language: string) => new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(page)?.[1] ?? '';
const ifInstalled = (name: string) => (isInstalled(name) ? test : test.skip);

describe('a recipe of docs/providers/revoke-calls.md', () => {
  let world: EventWorld;
  let gateway: EventGateway;
  beforeAll(async () => {
    world = await eventWorld();
    gateway = await world.start({ events: `{ revoke: { secret: "\${SSF_SECRET}" } }` });
  });
  afterAll(() => world.close());

  const call = (body: string, authorization = `Bearer ${eventSecret}`) =>
    gateway.post('/.well-known/countersign/revoke/sso', { authorization, 'content-type': 'application/json' }, body);

  async function expectEnded(claims: Readonly<Record<string, unknown>>, send: () => Promise<void>) {
    const [ended, other] = [await world.token(claims), await world.token({ sub: 'other', sid: 'other' })];
    for (const token of [ended, other]) expect(await gateway.ask(token)).toEqual([200, undefined]);
    await send();
    expect(await gateway.ask(ended)).toEqual([401, 'token_revoked']);
    expect(await gateway.ask(other)).toEqual([200, undefined]);
  }

  const server = process.env.DATABASE_URL ?? '';
  (server !== '' && isInstalled('psql') ? test : test.skip)(
    'ends tokens by triggers in a real PostgreSQL',
    async () => {
      const name = `countersign_recipe_${process.pid}`;
      const psql = (database: string, sql: string) =>
        execFileSync(
          'psql',
          ['-qAtX', '-v', 'ON_ERROR_STOP=1', '-d', new URL(`/${database}`, server).href, '-c', sql],
          {
            encoding: 'utf8',
          },
        );
      psql('postgres', `create database ${name}`);
      try {
        // What Supabase has: its tables, pg_net and the vault.
        psql(
          name,
          `
        create schema auth; create schema net; create schema vault;
        create table auth.users (id uuid primary key, banned_until timestamptz);
        create table auth.sessions (id uuid primary key, user_id uuid references auth.users on delete cascade);
        create table vault.decrypted_secrets (name text, decrypted_secret text);
        insert into vault.decrypted_secrets values ('countersign_revoke', '${eventSecret}');
        create table net.sent (url text, body text, headers jsonb);
        create function net.http_post(url text, body jsonb default '{}', params jsonb default '{}',
          headers jsonb default '{}', timeout_milliseconds int default 5000) returns bigint language sql as
          $$ insert into net.sent values (url, body::text, headers); select 1::bigint $$;`,
        );
        psql(name, blockOf('sql'));
        const sent = (sql: string) => async () => {
          const rows = JSON.parse(
            psql(name, `${sql}; select coalesce(json_agg(sent), '[]') from net.sent; delete from net.sent`),
          ) as readonly { url: string; body: string; headers: { authorization: string } }[];
          expect(rows.map(({ url }) => url)).toEqual(['https://api.example.com/.well-known/countersign/revoke/login']);
          const [{ body = '', headers = { authorization: '' } } = {}] = rows;
          expect((await call(body, headers.authorization)).body).toBe('{"result":"applied"}');
        };
        const [user, session] = [crypto.randomUUID(), crypto.randomUUID()];
        psql(
          name,
          `insert into auth.users values ('${user}'); insert into auth.sessions values ('${session}', '${user}')`,
        );
        await expectEnded({ sub: user, sid: session }, sent(`delete from auth.sessions`));
        await expectEnded(
          { sub: user, sid: 'next' },
          sent(`update auth.users set banned_until = now() + interval '1 day'`),
        );
        // A logout succeeds even if the call cannot be made.
        psql(name, `insert into auth.sessions values ('${session}', '${user}'); drop table net.sent`);
        psql(name, 'delete from auth.sessions');
        expect(psql(name, 'select count(*) from auth.sessions').trim()).toBe('0');
      } finally {
        psql('postgres', `drop database ${name}`);
      }
    },
  );

  ifInstalled('jsonnet')("ends a user by Kratos' body", async () => {
    const file = join(world.home, 'revoke.jsonnet');
    writeFileSync(file, blockOf('jsonnet'));
    const context = JSON.stringify({ flow: { id: crypto.randomUUID() }, identity: { id: 'kratos-user' } });
    const body = execFileSync('jsonnet', [file, '--tla-code', `ctx=${context}`], { encoding: 'utf8' });
    await expectEnded({ sub: 'kratos-user' }, async () => expect((await call(body)).body).toBe('{"result":"applied"}'));
  });

  test("ends sessions and users by Better Auth's hooks", async () => {
    const file = join(world.home, 'hooks.mjs');
    writeFileSync(file, blockOf('js'));
    const url = `http://127.0.0.1:${gateway.running.ports.public}/.well-known/countersign/revoke/sso`;
    const run = (code: string) =>
      promisify(execFile)(
        process.execPath,
        ['--input-type=module', '-e', `import { databaseHooks } from '${file}'; await databaseHooks.${code};`],
        { env: { REVOKE_URL: url, REVOKE_SECRET: eventSecret } },
      ).then(() => {});
    await expectEnded({ sid: 'better-session' }, () => run(`session.delete.after({ id: 'better-session' })`));
    await expectEnded({ sub: 'better-user', sid: 'x' }, () => run(`user.delete.after({ id: 'better-user' })`));
  });
});
