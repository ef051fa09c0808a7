import type { ExplainAnswer } from '../api/explain.ts';
import type { ViewQuery } from '../api/view.ts';
import { type Content, formValue, type Html, html } from './html.ts';
import type { Page } from './layout.ts';
import { code, facts, pill, routeLink, section, table } from './parts.ts';
import { moodOfStatus } from './request-table.ts';

/** What was wrong with the form. */
export type FormError = Readonly<{ path: string; message: string }>;

/** The form, and the answer to it, or what is wrong with the form: the browser scrolls to `#answer`. The token is never written into the page. */
export function explainPage(asked: ViewQuery, answer?: ExplainAnswer, errors: readonly FormError[] = []): Page {
  return {
    title: 'Explain',
    place: '/console/explain',
    live: false,
    body: html`<p class="lead">Shows how the gateway would handle a request, decided by the engine that serves: the configuration, keys and revocations of now. Nothing is sent, and no limit is counted.</p>
<div class="explain">${form(asked, errors)}<div class="answer" ${errors.length === 0 ? html`id="answer"` : ''}>${answer === undefined ? invitation : answerOf(answer)}</div></div>`,
  };
}

const invitation = html`<section class="card"><h2>The answer</h2><p class="lead">Each stage with its verdict, each rule with its reason, everything that is wrong with the token, and the exact headers that the service would receive.</p></section>`;

function form(asked: ViewQuery, errors: readonly FormError[]): Html {
  const errorOf = (name: string) => errors.find(({ path }) => path === name);
  const field = (name: string, label: string, control: Html, hint: Content = '') => {
    const error = errorOf(name);
    return html`<div class="field"><label for="${name}">${label}</label>${control}${hint === '' ? '' : html`<p class="hint" id="${name}-hint">${hint}</p>`}${error === undefined ? '' : html`<p class="error" id="${name}-error">${error.message}</p>`}</div>`;
  };
  const input = (name: string, more: Content = '') =>
    html`<input id="${name}" name="${name}" value="${formValue(asked[name] ?? '')}" autocomplete="off" autocapitalize="off" spellcheck="false" ${errorOf(name) === undefined ? '' : html`aria-invalid="true" aria-describedby="${name}-error"`} ${more}>`;
  return html`<form class="card form" method="post" action="/console/explain#answer" autocomplete="off">
${errors.length === 0 ? '' : html`<p class="error" id="answer" role="alert">${errors.length === 1 ? 'One field needs a change.' : `${errors.length} fields need a change.`}</p>`}
<div class="pair">${field('method', 'Method', input('method', html`required size="7"`))}${field('path', 'Path and query', input('path', html`required`))}</div>
<fieldset><legend>The caller has a token</legend>${field(
    'token',
    'Access token',
    html`<textarea id="token" name="token" rows="4" autocomplete="off" autocapitalize="off" spellcheck="false" ${errorOf('token') === undefined ? '' : html`aria-invalid="true" aria-describedby="token-error"`}></textarea>`,
    'It is verified, and neither stored, logged nor shown again.',
  )}</fieldset>
<fieldset><legend>Or a caller like this. Empty: anonymous</legend><div class="pair even">${field('role', 'Role', input('role'))}${field('tenant', 'Tenant', input('tenant'))}${field('user', 'User', input('user'))}${field('client', 'Client', input('client'))}${field('scope', 'Scopes', input('scope'))}${field('actor', 'Actor', input('actor'))}</div>
${field('issuer', 'Issuer', input('issuer'), 'Empty: the first one.')}
<label class="check"><input type="checkbox" name="bound" id="bound" ${asked.bound === 'on' ? html`checked` : ''}> The token is bound to a key (DPoP), and the proof is valid</label>
${field('service', 'Service, on the internal listener', input('service'))}</fieldset>
${field('headers', 'Request headers', html`<textarea id="headers" name="headers" rows="3" spellcheck="false" placeholder="Name: value" ${errorOf('headers') === undefined ? '' : html`aria-invalid="true" aria-describedby="headers-error"`}>${formValue(asked.headers ?? '')}</textarea>`, 'One a line.')}
<button type="submit" class="primary">Explain</button></form>`;
}

function answerOf({
  method,
  path,
  caller,
  outcome,
  stages,
  route,
  token,
  sends,
  dropped,
  responds,
}: ExplainAnswer): Html {
  const { allowed, status, code: refusal, title, why } = outcome;
  const mood = allowed ? 'good' : moodOfStatus(status ?? 0);
  const text = allowed ? 'forwarded' : refusal === null ? 'answered by the gateway' : 'refused';
  return html`<section class="verdict ${mood}" role="status"><h2 class="headline">${pill(text, mood)} ${status === null ? '' : status} ${refusal === null ? '' : code(refusal)}</h2>
<p>${code(method)} <code class="path">${path}</code> as ${caller}${route === null ? '' : html`, by route ${routeLink(route)}`}.</p>${title === null ? '' : html`<p>${title}</p>`}${why === null ? '' : html`<p class="why">${why}</p>`}</section>
${section(
  'Stages',
  html`<ol class="stages">${stages.map(
    ({ stage, verdict, notes, rules }) =>
      html`<li class="${verdict === 'not reached' ? 'quiet' : ''}"><div class="stage"><b>${stage}</b> ${pill(verdict)}</div>${rules.length === 0 ? '' : html`<ul>${rules.map((rule) => html`<li>${rule.refusal === null ? pill('passes') : pill(rule.refusal, 'bad')} ${code(rule.rule)} <span class="since">${rule.why}</span></li>`)}</ul>`}${notes.map((note) => html`<p>${note}</p>`)}</li>`,
  )}</ol>`,
)}
${token === null ? '' : tokenPart(token)}
${sends === null ? '' : section('What the service receives', html`<p>${code(`${sends.method} ${sends.target}`)}</p>${headerTable('Headers', sends.headers)}`, 'exact, but for values that differ in each request')}
${responds.length === 0 ? '' : section('The response', headerTable('Response headers', responds))}
${dropped.length === 0 ? '' : section('Dropped', facts(dropped.map(({ name, why: reason }) => [name, reason])))}`;
}

const headerTable = (label: string, headers: readonly (readonly [string, string])[]): Html =>
  table(
    label,
    [
      { label: 'Name', kind: 'main', cell: ([name]) => code(name) },
      { label: 'Value', kind: 'mono', cell: ([, value]) => value },
    ],
    headers,
    'None.',
  );

function tokenPart({ unreadable, header, claims, issuers }: NonNullable<ExplainAnswer['token']>): Html {
  if (unreadable !== null) return section('Token', html`<p>${unreadable}</p>`);
  const findings = issuers.map(({ issuer, accepted, findings: all }) => {
    if (accepted) return html`<h3>${issuer} ${pill('accepted', 'good')}</h3>`;
    const rows = table(
      `Findings of ${issuer}`,
      [
        { label: 'Claim', kind: 'main', cell: (one) => html`${one.claim} <code>${one.code}</code>` },
        { label: 'Expected', cell: ({ wanted }) => wanted },
        { label: 'Found', cell: ({ found }) => found },
        { label: 'Change', cell: ({ fix }) => fix },
      ],
      all,
      'None.',
    );
    return html`<h3>${issuer} ${pill('refused', 'bad')}</h3>${rows}`;
  });
  return section(
    'Token',
    html`${issuers.length === 0 ? html`<p>The configuration has no issuer.</p>` : findings}
<details><summary>Header and claims</summary><pre>${JSON.stringify(header, null, 2)}
${JSON.stringify(claims, null, 2)}</pre></details>`,
  );
}
