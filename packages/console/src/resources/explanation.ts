import type { FieldError } from '@countersign/process-kit';
import { formValue, namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import * as ui from '../html/parts.ts';
import { type ConsolePage, type Content, type Html, html, type Page } from '../html/parts.ts';
import { text } from '../schema/merge.ts';
import type { Query } from '../schema/view.ts';
import { isOfProof, neededFor } from './explain-request.ts';
import { toneOfStatus } from './request.ts';

const identity = namedObject('Identity', {
  kind: z.enum(['user', 'client']),
  user_id: text,
  client_id: text.describe('The OAuth client that calls, or that the user logged in with.'),
  role: text,
  tenant_id: text,
  session_id: text,
  scope: z.array(z.string()),
  roles: z.array(z.string()).describe('Every mapped role in a verified token.'),
  act: z.object({ sub: z.string(), iss: z.string() }).nullable().describe('The actor that acts for the caller.'),
  bound: z.boolean().describe("Whether the token is bound to the client's key or certificate."),
});
export type Identity = z.output<typeof identity>;

/** How each issuer judges a token. Never contains the signature. */
const tokenReport = z.object({
  unreadable: text.describe('Why the text is not an access token.'),
  header: z.record(z.string(), z.unknown()).nullable(),
  claims: z.record(z.string(), z.unknown()).nullable(),
  issuers: z.array(
    z.object({
      issuer: z.string(),
      name: text,
      provider: text,
      own: z.boolean().describe("Whether the token's `iss` names this issuer."),
      accepted: z.boolean(),
      findings: z.array(
        z.object({ code: z.string(), claim: z.string(), wanted: z.string(), found: z.string(), fix: z.string() }),
      ),
      identity: identity.nullable().describe('The identity that the service would receive.'),
    }),
  ),
});
export type TokenReport = z.output<typeof tokenReport>;

const routeSettings = z
  .object({
    path: z.string().describe("The route's path pattern."),
    websocket: z.boolean(),
    limits: z.array(z.string()),
    body: z.string(),
    cors: z.array(z.string()).nullable().describe('The origins whose pages may call the gateway.'),
    inherited: z
      .array(z.string())
      .describe("The keys that the route inherits from groups, with each group's location."),
  })
  .describe("The route's configuration.");

const upstreamSettings = z
  .object({
    name: z.string(),
    targets: z.array(z.string()),
    handling: z.string(),
    signing: text.describe('Set if only the running gateway knows which key signs: see `algorithm: agreed`.'),
    identity_token: text.describe('The identity token that the service receives, or why it receives none.'),
    signed_now: text.describe('How the running gateway signs now. Set only on the command line.'),
  })
  .describe('The upstream that receives the request.');

const stage = z.object({
  stage: z.string(),
  verdict: z.enum(['passes', 'refuses', 'answers', 'fails now', 'not reached']),
  notes: z.array(z.string()),
  rules: z.array(z.object({ rule: z.string(), refusal: text, why: z.string() })),
});

const header = z.tuple([z.string(), z.string()]);

const explainAnswer = namedObject('Answer', {
  method: z.string(),
  path: z.string(),
  caller: z.string(),
  identity: identity.nullable().describe('The user or OAuth client that calls, or that a service calls for.'),
  issuer: text.describe("The issuer of the caller's token. The OAuth client belongs to it too."),
  service: text.describe('The service that calls, on the internal listener.'),
  outcome: z.object({
    allowed: z.boolean(),
    status: z.int().nullable(),
    code: text,
    title: text,
    why: text,
    allow: z
      .array(z.string())
      .nullable()
      .describe("The methods that the path allows, if the request's method is not one of them."),
    warning: text.describe('Why an allowed request would fail now, such as an unavailable upstream.'),
  }),
  stages: z.array(stage),
  route: text,
  settings: routeSettings.nullable(),
  upstream: upstreamSettings.nullable(),
  token: tokenReport.nullable(),
  sends: z.object({ method: z.string(), target: z.string(), headers: z.array(header) }).nullable(),
  dropped: z.array(z.object({ name: z.string(), why: z.string() })),
  responds: z.array(header).describe("The headers in the gateway's own response."),
});
export type Answer = z.output<typeof explainAnswer>;

/** How the gateway would handle a request. The gateway package describes the request body. */
export const explainEndpoint = {
  method: 'post',
  path: '/api/explain',
  operationId: 'explainRequest',
  tag: 'Explain',
  summary: 'How the gateway would handle a request',
  description:
    'Uses the running configuration, keys and revocations. Sends no request and counts against no rate limit.',
  callers: ['anonymous'],
  responses: { 200: explainAnswer },
  errors: [],
} as const;

export const explainFormPage: ConsolePage = {
  path: '/console/explain',
  page: async ({ query: { token: _token, ...shown } }) => explainPage(shown),
};

/** The browser scrolls to `#answer`. The page never contains the token. */
export function explainPage(asked: Query, answer?: Answer, errors: readonly FieldError[] = []): Page {
  return {
    live: false,
    body: html`<p class="lead">Shows how the gateway would handle a request, using the running configuration, keys and revocations. Sends no request and ignores rate limits.</p>
<div class="columns stack">${form(asked, errors)}<div class="stack" ${errors.length === 0 ? html`id="answer"` : ''}>${answer === undefined ? invitation : answerOf(answer)}</div></div>`,
  };
}

const invitation = html`<section class="card"><h2>The answer</h2><p class="lead">Shows the verdict of each stage, the reason of each rule, every problem with the token, and the exact headers that the service would receive.</p></section>`;

const hints: Readonly<Record<string, string>> = {
  token: 'The gateway verifies the token, and never stores, logs or shows it.',
  claims: 'One claim per line. Only claims that route rules check matter.',
  issuer: 'Default: the first issuer.',
  headers: 'One header per line.',
};

function form(asked: Query, errors: readonly FieldError[]): Html {
  const errorOf = (name: string) => errors.find(({ path }) => path === name);
  const field = (name: string, label: string, control: Html) => {
    const hint = hints[name];
    const error = errorOf(name);
    return html`<div class="field"><label for="${name}">${label}</label>${control}${hint === undefined ? '' : html`<p class="muted" id="${name}-hint">${hint}</p>`}${error === undefined ? '' : html`<p class="error" id="${name}-error">${error.message}</p>`}</div>`;
  };
  const marks = (name: string) => {
    const isWrong = errorOf(name) !== undefined;
    const ids = [...(isWrong ? [`${name}-error`] : []), ...(name in hints ? [`${name}-hint`] : [])].join(' ');
    const isRequired = name === 'method' || name === 'path' || name === neededFor(asked.refused);
    return html`id="${name}" name="${name}" autocapitalize="off" spellcheck="false" ${isRequired ? html`required` : ''} ${isWrong ? html`aria-invalid="true"` : ''} ${ids === '' ? '' : html`aria-describedby="${ids}"`}`;
  };
  const input = (name: string, label: string) =>
    field(name, label, html`<input ${marks(name)} autocomplete="off" value="${formValue(asked[name] ?? '')}">`);
  const area = (name: string, label: string, rows: number, placeholder: string) =>
    field(
      name,
      label,
      html`<textarea ${marks(name)} autocomplete="off" rows="${rows}" placeholder="${placeholder}">${name === 'token' ? '' : formValue(asked[name] ?? '')}</textarea>`,
    );
  return html`<form class="card" method="post" action="${ui.to('/console/explain#answer')}" autocomplete="off">
${refusedNote(asked)}${errors.length === 0 ? '' : html`<p class="error" id="answer" role="alert">${errors.length === 1 ? 'One field is invalid.' : `${errors.length} fields are invalid.`}</p>`}
${input('method', 'Method')}${input('path', 'Path and query')}
<fieldset><legend>The caller has a token</legend>${area('token', 'Access token', 4, '')}</fieldset>
<fieldset aria-describedby="caller-hint"><legend>Or describe the caller</legend><p class="muted" id="caller-hint">Leave these fields empty for an anonymous caller.</p><div class="pair stack">${input('role', 'Role')}${input('tenant', 'Tenant')}${input('user', 'User')}${input('client', 'OAuth client')}${input('scope', 'Scopes')}${input('actor', 'Actor')}</div>
${area('claims', 'Other claims', 2, 'name: value')}
${input('issuer', 'Issuer')}
<label class="check row"><input type="checkbox" name="bound" id="bound" ${asked.bound === 'on' ? html`checked` : ''}> The token is bound to a key (DPoP) and comes with a valid proof</label>
${input('service', 'Service, on the internal listener')}</fieldset>
${area('headers', 'Request headers', 3, 'Name: value')}
<button type="submit" class="primary">Explain</button></form>`;
}

/** Without the missing input, Explain would answer for another caller. */
function refusedNote({ refused, method = '', path = '' }: Query): Content {
  const needed = neededFor(refused);
  if (needed === undefined) return '';
  const missing =
    needed === 'service'
      ? 'The gateway could not authenticate the calling service: enter its name to see what it may call.'
      : isOfProof(refused ?? '')
        ? 'Explain does not check proofs: paste the token to see what it allows.'
        : 'The gateway keeps no tokens: paste the token to see why.';
  const other = ui.link('/console/explain', 'Explain another caller', { method, path });
  return html`<input type="hidden" name="refused" value="${refused}"><p class="notice warn">The request was refused with ${ui.code(refused)}. ${missing} ${other}</p>`;
}

function answerOf({ method, path, caller, outcome, stages, route, token, sends, dropped, responds }: Answer): Html {
  const { allowed, status, code: refusal, title, why, warning } = outcome;
  const tone = warning !== null ? 'warn' : allowed ? 'good' : toneOfStatus(status ?? 0);
  const text =
    warning !== null
      ? 'allowed, but its upstream is unavailable'
      : allowed
        ? 'forwarded'
        : refusal === null
          ? 'answered by the gateway'
          : 'refused';
  return html`<section class="card verdict ${tone}" role="status"><h2>${ui.pill(text, tone)} ${status === null ? '' : status} ${refusal === null ? '' : ui.code(refusal)}</h2>
<p>${ui.code(method)} <code class="path">${path}</code> as ${caller}${route === null ? '' : html`, by route ${ui.routeLink(route)}`}.</p>${title === null ? '' : html`<p>${title}</p>`}${why === null ? '' : html`<p class="why">${why}</p>`}${warning === null ? '' : html`<p class="why">${warning} ${ui.link('/console/upstreams', 'Upstreams')}</p>`}</section>
${ui.section(
  'Stages',
  html`<ol class="stages">${stages.map(
    ({ stage, verdict, notes, rules }) =>
      html`<li><div class="row"><b>${stage}</b> ${ui.pill(verdict)}</div>${rules.length === 0 ? '' : html`<ul class="muted">${rules.map((rule) => html`<li>${rule.refusal === null ? ui.pill('passes') : ui.pill(rule.refusal, 'bad')} ${ui.code(rule.rule)} <span class="muted">${rule.why}</span></li>`)}</ul>`}${notes.map((note) => html`<p class="muted">${note}</p>`)}</li>`,
  )}</ol>`,
)}
${token === null ? '' : tokenPart(token)}
${sends === null ? '' : ui.section('What the service receives', html`<p>${ui.code(`${sends.method} ${sends.target}`)}</p>${headerTable('Headers', sends.headers)}`, 'exact, except values that change per request')}
${responds.length === 0 ? '' : ui.section('The response', headerTable('Response headers', responds))}
${dropped.length === 0 ? '' : ui.section('Dropped', ui.definitions(dropped.map(({ name, why: reason }) => [name, reason])))}`;
}

const headerTable = (label: string, headers: readonly (readonly [string, string])[]): Html =>
  ui.table(
    label,
    [
      { label: 'Name', kind: 'main', cell: ([name]) => ui.code(name) },
      { label: 'Value', kind: 'mono', cell: ([, value]) => value },
    ],
    headers,
    'None.',
  );

function tokenPart({ unreadable, header, claims, issuers }: NonNullable<Answer['token']>): Html {
  const findings = issuers.map(({ issuer, accepted, findings: all }) => {
    if (accepted) return html`<h3>${issuer} ${ui.pill('accepted', 'good')}</h3>`;
    const rows = ui.table(
      `Findings from ${issuer}`,
      [
        { label: 'Claim', kind: 'main', cell: (one) => html`${one.claim} <code>${one.code}</code>` },
        { label: 'Expected', cell: ({ wanted }) => wanted },
        { label: 'Found', cell: ({ found }) => found },
        { label: 'Change', cell: ({ fix }) => fix },
      ],
      all,
      'None.',
    );
    return html`<h3>${issuer} ${ui.pill('refused', 'bad')}</h3>${rows}`;
  });
  return ui.section(
    'Token',
    html`${unreadable !== null || issuers.length === 0 ? html`<p>${unreadable ?? 'The configuration has no issuers.'}</p>` : findings}
${
  claims === null
    ? ''
    : html`<details><summary>Header and claims</summary><pre>${JSON.stringify(header, null, 2)}
${JSON.stringify(claims, null, 2)}</pre></details>`
}`,
  );
}
