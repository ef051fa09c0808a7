import type { Answer, Query } from '@countersign/admin-api';
import { type FieldError, formValue } from '@countersign/service-kit';
import { type Content, type Html, html } from '../html/html.ts';
import type { Page } from '../html/layout.ts';
import { code, definitions, link, pill, routeLink, section, table, to } from '../html/parts.ts';
import { isOfProof, neededFor } from './explain-request.ts';
import { toneOfStatus } from './request-table.ts';

/**
 * Renders the form with the answer or the form errors. The browser scrolls to `#answer`. The page never contains the
 * token.
 */
export function explainPage(asked: Query, answer?: Answer, errors: readonly FieldError[] = []): Page {
  return {
    live: false,
    body: html`<p class="lead">Shows how the gateway would handle a request, using the running configuration, keys and revocations. Sends no request and ignores rate limits.</p>
<div class="explain stack">${form(asked, errors)}<div class="stack" ${errors.length === 0 ? html`id="answer"` : ''}>${answer === undefined ? invitation : answerOf(answer)}</div></div>`,
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
    return html`<div class="field stack"><label for="${name}">${label}</label>${control}${hint === undefined ? '' : html`<p class="muted" id="${name}-hint">${hint}</p>`}${error === undefined ? '' : html`<p class="error" id="${name}-error">${error.message}</p>`}</div>`;
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
  return html`<form class="card form stack" method="post" action="${to('/console/explain#answer')}" autocomplete="off">
${refusedNote(asked)}${errors.length === 0 ? '' : html`<p class="error" id="answer" role="alert">${errors.length === 1 ? 'One field is invalid.' : `${errors.length} fields are invalid.`}</p>`}
<div class="pair stack">${input('method', 'Method')}${input('path', 'Path and query')}</div>
<fieldset class="stack"><legend>The caller has a token</legend>${area('token', 'Access token', 4, '')}</fieldset>
<fieldset class="stack" aria-describedby="caller-hint"><legend>Or describe the caller</legend><p class="muted" id="caller-hint">Leave these fields empty for an anonymous caller.</p><div class="pair stack even">${input('role', 'Role')}${input('tenant', 'Tenant')}${input('user', 'User')}${input('client', 'OAuth client')}${input('scope', 'Scopes')}${input('actor', 'Actor')}</div>
${area('claims', 'Other claims', 2, 'name: value')}
${input('issuer', 'Issuer')}
<label class="check row"><input type="checkbox" name="bound" id="bound" ${asked.bound === 'on' ? html`checked` : ''}> The token is bound to a key (DPoP) and comes with a valid proof</label>
${input('service', 'Service, on the internal listener')}</fieldset>
${area('headers', 'Request headers', 3, 'Name: value')}
<button type="submit" class="primary">Explain</button></form>`;
}

/**
 * Names the input that Explain needs for a request refused before its caller was known. Without that input, Explain
 * would answer for another caller.
 */
function refusedNote({ refused, method = '', path = '' }: Query): Content {
  const needed = neededFor(refused);
  if (needed === undefined) return '';
  const missing =
    needed === 'service'
      ? 'The gateway could not authenticate the calling service: enter its name to see what it may call.'
      : isOfProof(refused ?? '')
        ? 'Explain does not check proofs: paste the token to see what it allows.'
        : 'The gateway keeps no tokens: paste the token to see why.';
  const other = link('/console/explain', 'Explain another caller', { method, path });
  return html`<input type="hidden" name="refused" value="${refused}"><p class="note">The request was refused with ${code(refused)}. ${missing} ${other}</p>`;
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
  return html`<section class="verdict ${tone}" role="status"><h2 class="headline">${pill(text, tone)} ${status === null ? '' : status} ${refusal === null ? '' : code(refusal)}</h2>
<p>${code(method)} <code class="path">${path}</code> as ${caller}${route === null ? '' : html`, by route ${routeLink(route)}`}.</p>${title === null ? '' : html`<p>${title}</p>`}${why === null ? '' : html`<p class="why">${why}</p>`}${warning === null ? '' : html`<p class="why">${warning} ${link('/console/upstreams', 'Upstreams')}</p>`}</section>
${section(
  'Stages',
  html`<ol class="stages">${stages.map(
    ({ stage, verdict, notes, rules }) =>
      html`<li class="${verdict === 'not reached' ? 'quiet' : ''}"><div class="stage row"><b>${stage}</b> ${pill(verdict)}</div>${rules.length === 0 ? '' : html`<ul>${rules.map((rule) => html`<li>${rule.refusal === null ? pill('passes') : pill(rule.refusal, 'bad')} ${code(rule.rule)} <span class="muted">${rule.why}</span></li>`)}</ul>`}${notes.map((note) => html`<p>${note}</p>`)}</li>`,
  )}</ol>`,
)}
${token === null ? '' : tokenPart(token)}
${sends === null ? '' : section('What the service receives', html`<p>${code(`${sends.method} ${sends.target}`)}</p>${headerTable('Headers', sends.headers)}`, 'exact, except values that change per request')}
${responds.length === 0 ? '' : section('The response', headerTable('Response headers', responds))}
${dropped.length === 0 ? '' : section('Dropped', definitions(dropped.map(({ name, why: reason }) => [name, reason])))}`;
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

function tokenPart({ unreadable, header, claims, issuers }: NonNullable<Answer['token']>): Html {
  if (unreadable !== null) return section('Token', html`<p>${unreadable}</p>`);
  const findings = issuers.map(({ issuer, accepted, findings: all }) => {
    if (accepted) return html`<h3>${issuer} ${pill('accepted', 'good')}</h3>`;
    const rows = table(
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
    return html`<h3>${issuer} ${pill('refused', 'bad')}</h3>${rows}`;
  });
  return section(
    'Token',
    html`${issuers.length === 0 ? html`<p>The configuration has no issuers.</p>` : findings}
<details><summary>Header and claims</summary><pre>${JSON.stringify(header, null, 2)}
${JSON.stringify(claims, null, 2)}</pre></details>`,
  );
}
