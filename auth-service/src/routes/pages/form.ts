import { type Content, formValue, type Html, html } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import { maxPasswordLength } from '../../domain/accounts/passwords.ts';
import type { ErrorCode } from '../../errors.ts';
import type { HttpCaller } from '../../flows/sessions/throttle.ts';
import type { Texts } from './texts-en.ts';

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

/** More than any field allows, so that the page can say "too long", and within the gateway's body limit. */
const maxLength = maxPasswordLength + 1;

export function field({ values, problems }: View, given: Field): Html {
  const { name, label, type, autocomplete, hint, readonly = false } = given;
  const problem = problems.get(name);
  const notes = [hint && `${name}-hint`, problem && `${name}-problem`].filter(Boolean).join(' ');
  const value = type === 'password' || name === 'code' ? '' : (values[name] ?? '');
  return html`<div class="field"><label for="${name}">${label}</label>
${hint && html`<p class="muted" id="${name}-hint">${hint}</p>`}${problem && html`<p class="error" id="${name}-problem">${problem}</p>`}
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
  return html`<div class="notice bad" role="alert" tabindex="-1" autofocus data-code="${code}"><h2>${t.problem}</h2>${body}</div>`;
}

export const link = (path: string, text: string): Html => html`<a href="${path}">${text}</a>`;

export const wayOn = (...links: readonly Content[]): Html =>
  html`<p class="row">${links.map((each) => html`${each} `)}</p>`;

/** The values of a form's fields, and everything else that the page needs to show the form again. */
export type Values = Readonly<Record<string, string>>;

/** The data for rendering a page. */
export type View = Readonly<{
  t: Texts;
  values: Values;
  /** An error message for each invalid field. */
  problems: ReadonlyMap<string, string>;
  /** The form's token, see `formTokenOf`. */
  formToken(action: string, step?: string): string;
}>;

export type PageCall = Readonly<{ req: Request; res: Response; caller: HttpCaller; view: View }>;

export type Page<Schema extends z.ZodObject = z.ZodObject> = Readonly<{
  path: string;
  title(t: Texts): string;
  /** The form's fields, without the form token. */
  fields: Schema;
  /** The field with the login token of the next step. */
  stepField?: string;
  form(view: View): Content;
  fieldOf?: Readonly<Partial<Record<ErrorCode, string>>>;
  /** Whether the login starts over after this error, on the login page. */
  startsOver?(code: string): boolean;
  /** What to show below an error instead of the form. If undefined, the form is shown again. */
  instead?(code: string, view: View): Content | undefined;
  /** Reads the data that the form shows. If absent, a form without a `stepField` opens empty. */
  open?(call: PageCall): Promise<Values> | Values;
  submit(call: PageCall, given: z.output<Schema>): Promise<void>;
}>;

/** Infers a page's fields from its schema. */
export const page = <Schema extends z.ZodObject>(declared: Page<Schema>): Page => declared as unknown as Page;
