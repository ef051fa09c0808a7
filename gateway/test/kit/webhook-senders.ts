import { createHmac } from 'node:crypto';
import { clerkV2 } from '../providers/clerk.ts';
import { okta } from '../providers/okta.ts';
import type { Shape } from '../providers/shape.ts';
import { zitadel } from '../providers/zitadel.ts';

type Headers = Readonly<Record<string, string>>;

/** A provider's deliveries, in the shape that its documentation or source shows, with our own values. */
export type WebhookSender = Readonly<{
  format: string;
  secret: string;
  shape: Shape;
  /** Other keys under `events`. */
  more?: string;
  headers(body: string, secret: string, nowMs: number): Headers;
  /** Events that end the tokens of the shape, and claims of tokens that they leave valid. */
  events: readonly (readonly [title: string, payload: (at: string, atMs: number) => object, kept: readonly object[]])[];
  /** Events that end nothing. */
  ignored: readonly (readonly [title: string, payload: (at: string, atMs: number) => object])[];
}>;

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text);
let count = 0;
const nextId = () => {
  count += 1;
  return `evt_${count}`;
};

/** Signs like svix. */
export function standardHeaders(body: string, secret: string, nowMs: number, id = nextId(), family = 'svix'): Headers {
  const time = String(Math.floor(nowMs / 1000));
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  const signature = `v1,${hmac(key, `${id}.${time}.${body}`).digest('base64')}`;
  return { [`${family}-id`]: id, [`${family}-timestamp`]: time, [`${family}-signature`]: signature };
}

const clerkUser = (atMs: number, changes: object) => ({
  data: {
    id: clerkV2.claims.sub,
    object: 'user',
    banned: false,
    locked: false,
    password_last_updated_at: null,
    updated_at: atMs,
    ...changes,
  },
  object: 'event',
  timestamp: atMs,
  type: 'user.updated',
});
const clerkSession = (type: string) => (_: string, timestamp: number) => ({
  data: { id: clerkV2.claims.sid, object: 'session', user_id: clerkV2.claims.sub, status: 'ended' },
  object: 'event',
  timestamp,
  type,
});

const generic = (name: string, claims: Shape['claims'], session: string): Shape => ({
  name,
  source: '',
  yaml: `
    issuer: https://${name}.example.test
    audience: https://api.example.test
    algorithms: [RS256]
    types: [at+jwt, JWT]
    require: { client_id: present }
    machines: none
    claims: { userId: sub, role: { constant: agent }, tenantId: { constant: acme }${session} }`,
  algorithm: 'RS256',
  header: { typ: 'at+jwt' },
  claims: {
    iss: `https://${name}.example.test`,
    aud: 'https://api.example.test',
    iat: 0,
    exp: 0,
    jti: 'x',
    client_id: 'app',
    ...claims,
  },
  gives: { userId: '', role: '', tenantId: '' },
  wrong: [],
});
const workos = generic(
  'workos',
  { sub: 'user_01E4ZCR3C56J083X43JQXF3JK5', sid: 'session_01HQSXZGF8FHF7A9ZZFCW4387R' },
  '',
);
const logto = generic('logto', { sub: 'foo9m2b3q1z7' }, '');

const workosEvent = (event: string, data: object) => (created_at: string) => ({
  id: nextId(),
  event,
  data,
  created_at,
});
const logtoEvent = (event: string, rest: object) => (createdAt: string) => ({
  hookId: 'hook_1',
  event,
  createdAt,
  ip: '::1',
  ...rest,
});
const zitadelEvent =
  (event_type: string, changes: object = {}) =>
  (created_at: string) => ({
    aggregateID: zitadel.claims.sub,
    aggregateType: 'user',
    resourceOwner: '270021512386080000',
    instanceID: '270021512386089999',
    version: 'v2',
    sequence: 42,
    event_type,
    created_at,
    userID: 'the-editor',
    event_payload: {},
    ...changes,
  });
const oktaEvents =
  (...events: readonly object[]) =>
  (published: string) => ({
    eventType: 'com.okta.event_hook',
    eventTypeVersion: '1.0',
    cloudEventsVersion: '0.1',
    source: 'https://acme.okta.example.test/api/v1/eventHooks/who1',
    eventId: nextId(),
    data: { events: events.map((event) => ({ uuid: nextId(), published, outcome: { result: 'SUCCESS' }, ...event })) },
    eventTime: published,
  });
const oktaUser = { id: okta.claims.uid, type: 'User', alternateId: 'ann@example.test' };
const oktaAdmin = { id: '00uadmin', type: 'User', alternateId: 'admin@example.test' };
const oktaApp = { id: '0oaapp', type: 'AppInstance' };

export const webhookSenders: readonly WebhookSender[] = [
  {
    format: 'clerk',
    secret: `whsec_${Buffer.from('the secret of clerk, of 32 bytes').toString('base64')}`,
    shape: clerkV2,
    headers: standardHeaders,
    events: [
      ...['session.ended', 'session.removed', 'session.revoked'].map(
        (type) => [type, clerkSession(type), [{ sid: 'other' }]] as const,
      ),
      [
        'user.deleted',
        (_, timestamp) => ({
          data: { id: clerkV2.claims.sub, deleted: true },
          object: 'event',
          timestamp,
          type: 'user.deleted',
        }),
        [{ sub: 'user_other' }],
      ],
      ['a ban', (_, atMs) => clerkUser(atMs, { banned: true }), [{ sub: 'user_other' }]],
      ['a lock', (_, atMs) => clerkUser(atMs, { locked: true }), [{ sub: 'user_other' }]],
      ['a new password', (_, atMs) => clerkUser(atMs, { password_last_updated_at: atMs }), [{ sub: 'user_other' }]],
    ],
    ignored: [
      ['an update', (_, atMs) => clerkUser(atMs, {})],
      ['an old password', (_, atMs) => clerkUser(atMs, { password_last_updated_at: atMs - 86_400_000 })],
      ['session.created', clerkSession('session.created')],
      ['organization.deleted', () => ({ data: { id: 'org_1' }, object: 'event', type: 'organization.deleted' })],
    ],
  },
  {
    format: 'workos',
    secret: 'the-webhook-secret-of-workos',
    shape: workos,
    headers: (body, secret, nowMs) => ({
      'workos-signature': `t=${nowMs}, v1=${hmac(secret, `${nowMs}.${body}`).digest('hex')}`,
    }),
    events: [
      [
        'session.revoked',
        workosEvent('session.revoked', {
          object: 'session',
          id: workos.claims.sid,
          user_id: workos.claims.sub,
          status: 'revoked',
        }),
        [{ sid: 'other' }],
      ],
      ['user.deleted', workosEvent('user.deleted', { object: 'user', id: workos.claims.sub }), [{ sub: 'user_other' }]],
      [
        'password_reset.succeeded',
        workosEvent('password_reset.succeeded', { id: 'password_reset_1', user_id: workos.claims.sub }),
        [{ sub: 'user_other' }],
      ],
    ],
    ignored: [
      ['session.created', workosEvent('session.created', { id: workos.claims.sid, user_id: workos.claims.sub })],
    ],
  },
  {
    format: 'logto',
    secret: 'the-signing-key-of-one-logto-hook',
    shape: logto,
    more: ', sessions: false',
    headers: (body, secret) => ({ 'logto-signature-sha-256': hmac(secret, body).digest('hex') }),
    events: [
      [
        'User.Deleted',
        logtoEvent('User.Deleted', { params: { userId: logto.claims.sub }, data: null }),
        [{ sub: 'other' }],
      ],
      [
        'a suspension',
        logtoEvent('User.SuspensionStatus.Updated', { data: { id: logto.claims.sub, isSuspended: true } }),
        [{ sub: 'other' }],
      ],
      [
        'PostResetPassword',
        logtoEvent('PostResetPassword', { interactionEvent: 'ForgotPassword', userId: logto.claims.sub }),
        [{ sub: 'other' }],
      ],
    ],
    ignored: [
      [
        'the end of a suspension',
        logtoEvent('User.SuspensionStatus.Updated', { data: { id: logto.claims.sub, isSuspended: false } }),
      ],
      ['User.Data.Updated', logtoEvent('User.Data.Updated', { data: { id: logto.claims.sub } })],
    ],
  },
  {
    format: 'zitadel',
    secret: 'the-signing-key-of-a-target',
    shape: zitadel,
    headers: (body, secret, nowMs) => {
      const time = Math.floor(nowMs / 1000);
      return { 'zitadel-signature': `t=${time},v1=${hmac(secret, `${time}.${body}`).digest('hex')}` };
    },
    events: [
      'user.human.signed.out',
      'user.locked',
      'user.deactivated',
      'user.removed',
      'user.human.password.changed',
    ].map((type) => [type, zitadelEvent(type), [{ sub: 'the-editor' }, { sub: 'other' }]] as const),
    ignored: [
      ['user.unlocked', zitadelEvent('user.unlocked')],
      ['session.terminated', zitadelEvent('session.terminated', { aggregateType: 'session' })],
      ['an organization', zitadelEvent('user.removed', { aggregateType: 'org' })],
    ],
  },
  {
    format: 'okta',
    secret: 'the-authorization-of-an-event-hook',
    shape: okta,
    headers: (_, secret) => ({ authorization: `Bearer ${secret}` }),
    events: [
      ...[
        'user.lifecycle.deactivate',
        'user.lifecycle.suspend',
        'user.lifecycle.delete.initiated',
        'user.account.lock',
        'user.account.update_password',
        'user.account.reset_password',
        'user.session.clear',
      ].map(
        (eventType) =>
          [
            eventType,
            oktaEvents({ eventType, actor: oktaAdmin, target: [oktaUser] }),
            [{ uid: '00uadmin' }, { uid: '00uother' }],
          ] as const,
      ),
      [
        'a user after another target',
        oktaEvents({ eventType: 'user.lifecycle.suspend', actor: oktaAdmin, target: [oktaApp, oktaUser] }),
        [{ uid: '00uadmin' }],
      ],
      [
        'user.session.end',
        oktaEvents({ eventType: 'user.session.end', actor: oktaUser, target: [oktaApp] }),
        [{ uid: '00uother' }],
      ],
      [
        'one of several',
        oktaEvents(
          { eventType: 'user.session.start', actor: oktaAdmin },
          { eventType: 'user.session.end', actor: oktaUser },
        ),
        [{ uid: '00uadmin' }],
      ],
    ],
    ignored: [
      ['user.session.start', oktaEvents({ eventType: 'user.session.start', actor: oktaUser })],
      [
        'a target that is no user',
        oktaEvents({
          eventType: 'user.lifecycle.suspend',
          actor: oktaUser,
          target: [{ ...oktaUser, type: 'AppUser' }],
        }),
      ],
    ],
  },
];
