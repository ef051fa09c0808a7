import { formBody, type AppError as KitError } from '@countersign/process-kit';
import { type Content, html } from '@countersign/service-kit';
import type { Request } from 'express';
import { z } from 'zod';
import { formTokenOf, isFormToken, pageSessionIn } from '../../domain/sessions/cookies.ts';
import { AppError } from '../../errors.ts';
import type { RouteParts } from '../route.ts';
import type { Page, Values, View } from './form.ts';
import { languageOf, languages } from './layout.ts';
import type { Texts } from './texts-en.ts';

/** @param login The id of the login session whose pages have the forms, if any. */
export const viewOf = (req: Request, session: string, login?: string): View => ({
  t: languages[languageOf(req)],
  values: {},
  problems: new Map(),
  formToken: (action, step = login) => formTokenOf(session, action, step),
});

/**
 * Reads a form that our own page in this browser sent. Checks the origin first.
 *
 * @param bound.stepField See `Page`.
 * @param bound.login See `viewOf`. After a login or a switch in another tab, the form must not act in the new session.
 * @throws AppError `cross_site_refused`, `form_expired`.
 */
export function readForm(
  { pages }: RouteParts,
  req: Request,
  path: string,
  { stepField, login }: Readonly<{ stepField?: string | undefined; login?: string }>,
): Values {
  if (!pages.origins.has(req.headers.origin ?? '')) throw new AppError('cross_site_refused');
  const { form_token: token = '', ...given } = z.record(z.string(), z.string()).parse(formBody(req) ?? {});
  const session = pageSessionIn(req.headers.cookie);
  const step = stepField === undefined ? login : given[stepField];
  if (session === undefined || !isFormToken(token, session, path, step)) throw new AppError('form_expired');
  return given;
}

/** The values of a refused form, without passwords and codes. Empty if the link was refused. */
export function shownAgain(req: Request): Values {
  const given = Object.entries((req.body ?? {}) as object).filter(([, value]) => typeof value === 'string');
  return Object.fromEntries(given.filter(([name]) => !/password$|^code$|^form_token$/.test(name))) as Values;
}

export function noticeOf({ query: { notice } }: Request, { notices }: Texts): Content {
  const text = typeof notice === 'string' && textOf(notices, notice);
  return text && html`<p class="notice good" role="status">${text}</p>`;
}

/** The form's invalid fields, each with a message. */
export function problemsOf(
  fieldOf: Page['fieldOf'],
  { code, errors = [], detail }: KitError,
  t: Texts,
): ReadonlyMap<string, string> {
  const field = fieldOf?.[code as keyof typeof fieldOf];
  if (field !== undefined) return new Map([[field, errorText(t, code)]]);
  const weakness = textOf(t.weaknesses, String(detail?.weakness));
  return new Map(
    errors.flatMap(({ path }) => {
      const text = (path.endsWith('password') ? weakness : undefined) ?? textOf(t.fields, path);
      return text === undefined ? [] : [[path, text] as const];
    }),
  );
}

export const errorText = ({ errors }: Texts, code: string): string => textOf(errors, code) ?? errors.internal_error;

const textOf = (texts: Readonly<Record<string, string>>, key: string): string | undefined =>
  Object.hasOwn(texts, key) ? texts[key] : undefined;
