import type { Identity } from '@countersign/identity';
import type { Content } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { ErrorCode } from '../../errors.ts';
import type { RegisterParts } from '../../flows/accounts/register.ts';
import type { SecondStepParts } from '../../flows/second-factor/second-step.ts';
import type { Caller } from '../../flows/sessions/grant.ts';
import type { LoginParts } from '../../flows/sessions/log-in.ts';
import type { RefreshParts } from '../../flows/sessions/refresh.ts';
import type { Texts } from './texts-en.ts';

export type PageParts = LoginParts &
  SecondStepParts &
  RefreshParts &
  RegisterParts &
  Readonly<{
    pages: Readonly<{
      /** Origins that serve the pages. Only forms of these origins may post to them. */
      origins: ReadonlySet<string>;
      /** The path to redirect to after a login, on the same origin. */
      afterLogin: string;
    }>;
  }>;

/** The values of a form's fields, and whatever else the page needs to show the form again. */
export type Values = Readonly<Record<string, string>>;

/** The data of a rendered page. */
export type View = Readonly<{
  t: Texts;
  values: Values;
  /** A message for each invalid field. */
  problems: ReadonlyMap<string, string>;
  /** The token of a form of this page: see `formTokenOf`. */
  formToken(action: string, step?: string): string;
}>;

export type PageCall = Readonly<{ req: Request; res: Response; identity: Identity; caller: Caller; view: View }>;

/** A page with one form. */
export type Page<Schema extends z.ZodObject = z.ZodObject> = Readonly<{
  path: string;
  title(t: Texts): string;
  /** The fields, besides the form token. */
  fields: Schema;
  /** The field that carries the token of a login's next step. */
  stepField?: string;
  form(view: View): Content;
  /** The field that an error refers to. */
  fieldOf?: Readonly<Partial<Record<ErrorCode, string>>>;
  /** Whether the login starts over after this error. If so, the login page is shown instead. */
  startsOver?(code: string): boolean;
  /** What to show below an error instead of the form. If undefined, the form is shown again. */
  instead?(code: string, view: View): Content | undefined;
  /**
   * Reads the data that the form shows, without changing anything.
   *
   * @returns undefined if an earlier step is required.
   */
  open(call: PageCall): Promise<Values | undefined> | Values | undefined;
  submit(call: PageCall, given: z.output<Schema>): Promise<void>;
}>;

/** Infers the fields of a page from its schema. */
export const page = <Schema extends z.ZodObject>(declared: Page<Schema>): Page => declared as unknown as Page;
