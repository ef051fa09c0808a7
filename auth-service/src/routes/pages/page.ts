import type { Content } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { ErrorCode } from '../../errors.ts';
import type { Caller } from '../../flows/sessions/grant.ts';
import type { Texts } from './texts-en.ts';

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

export type PageCall = Readonly<{ req: Request; res: Response; caller: Caller; view: View }>;

export type Page<Schema extends z.ZodObject = z.ZodObject> = Readonly<{
  path: string;
  title(t: Texts): string;
  /** The form's fields, without the form token. */
  fields: Schema;
  /** The field with the login token of the next step. */
  stepField?: string;
  form(view: View): Content;
  /** Returns the field that an error refers to. */
  fieldOf?: Readonly<Partial<Record<ErrorCode, string>>>;
  /** Whether the login starts over after this error, on the login page. */
  startsOver?(code: string): boolean;
  /** What to show below an error instead of the form. If undefined, the form is shown again. */
  instead?(code: string, view: View): Content | undefined;
  /** Reads the data that the form shows. @returns undefined if an earlier step is required. */
  open(call: PageCall): Promise<Values | undefined> | Values | undefined;
  submit(call: PageCall, given: z.output<Schema>): Promise<void>;
}>;

/** Infers a page's fields from its schema. */
export const page = <Schema extends z.ZodObject>(declared: Page<Schema>): Page => declared as unknown as Page;
