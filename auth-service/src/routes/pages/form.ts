import { type Content, formValue, type Html, html } from '@countersign/service-kit';
import { maxPasswordLength } from '../../domain/accounts/passwords.ts';
import type { View } from './page.ts';

type Field = Readonly<{
  name: string;
  label: string;
  type: 'email' | 'password' | 'text';
  autocomplete: string;
  hint?: string;
  /** Read-only for the user. Password managers need it. */
  readonly?: boolean;
}>;

/** Renders a form that posts to `action` with the form token. Works without JavaScript. */
export function form(
  { formToken }: View,
  { action, step, hidden = {} }: Readonly<{ action: string; step?: string; hidden?: Readonly<Record<string, string>> }>,
  content: Content,
): Html {
  const all = { form_token: formToken(action, step), ...hidden };
  return html`<form method="post" action="${action}" novalidate>${Object.entries(all).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${formValue(value)}">`,
  )}
${content}</form>`;
}

/**
 * One character more than any field allows, so that the page can report a value that is too long. The form still fits
 * the gateway's body limit.
 */
const maxLength = maxPasswordLength + 1;

export function field({ values, problems }: View, given: Field): Html {
  const { name, label, type, autocomplete, hint, readonly = false } = given;
  const problem = problems.get(name);
  const notes = [hint && `${name}-hint`, problem && `${name}-problem`].filter(Boolean).join(' ');
  const value = type === 'password' || name === 'code' ? '' : (values[name] ?? '');
  return html`<div class="field"><label for="${name}">${label}</label>
${hint && html`<p class="hint" id="${name}-hint">${hint}</p>`}${problem && html`<p class="problem" id="${name}-problem">${problem}</p>`}
<input id="${name}" name="${name}" type="${type}" autocomplete="${autocomplete}" maxlength="${maxLength}" required autocapitalize="none" spellcheck="false"
 value="${formValue(value)}" ${readonly && html`readonly`} ${notes && html`aria-describedby="${notes}"`} ${problem && html`aria-invalid="true"`}></div>
`;
}

export const submit = (label: string): Html => html`<button class="primary" type="submit">${label}</button>`;

/** Lists the errors at the top with a link to each field. Gets the focus when the page opens. */
export function summary({ t, problems }: View, code: string, text: string): Html {
  const body =
    problems.size === 0
      ? html`<p>${text}</p>`
      : html`<ul>${[...problems].map(([name, problem]) => html`<li><a href="#${name}">${problem}</a></li>`)}</ul>`;
  return html`<div class="summary" role="alert" tabindex="-1" autofocus data-code="${code}"><h2>${t.problem}</h2>${body}</div>`;
}

export const link = (path: string, text: string): Html => html`<a href="${path}">${text}</a>`;

export const wayOn = (...links: readonly Content[]): Html =>
  html`<p class="links">${links.map((each) => html`${each} `)}</p>`;
