import { isUtf8 } from 'node:buffer';
import { idPattern, rolePattern } from '@countersign/identity';
import express, { type Request, type RequestHandler } from 'express';
import { z } from 'zod';
import { AppError } from '../errors.ts';

/** An id of a user, tenant, service or session, as the identity contract allows it. */
export const idField = z.string().regex(idPattern, 'is not a valid id');

/** A role name, as the identity contract allows it. */
export const roleField = z.string().regex(rolePattern, 'must be a role name');

/**
 * Parses a JSON body, which must be UTF-8 (RFC 8259 section 8.1). A lenient decoder would read every invalid byte as
 * U+FFFD, so that two passwords that differ only in such bytes would be equal.
 *
 * @param maxBytes The maximum body size.
 */
export const parseJson = (maxBytes: number): RequestHandler =>
  express.json({ limit: maxBytes, inflate: false, strict: true, verify: assertUtf8 });

function assertUtf8(_req: unknown, _res: unknown, body: Buffer, charset: string): void {
  if (charset !== 'utf-8' || !isUtf8(body)) throw new Error('the body is not UTF-8');
}

/**
 * Returns the body that {@link parseJson} parsed, or undefined if there is none.
 *
 * @throws AppError `unsupported_media_type` if the body is not JSON.
 */
export function jsonBody(req: Request): unknown {
  if (req.headers['content-length'] === '0') return undefined;
  if (req.is('application/json') === false) throw new AppError('unsupported_media_type');
  return req.body;
}

/**
 * Parses a form (`application/x-www-form-urlencoded`). A repeated field becomes an array, so that text schemas refuse
 * it (RFC 6749 section 3.2 forbids repeated parameters).
 *
 * @param maxBytes The maximum body size.
 */
export const parseForm = (maxBytes: number): RequestHandler =>
  express.urlencoded({ limit: maxBytes, inflate: false, extended: false, verify: assertUtf8Form });

function assertUtf8Form(req: unknown, res: unknown, body: Buffer, charset: string): void {
  assertUtf8(req, res, body, charset);
  decodeURIComponent(body.toString()); // Throws for escapes that are not UTF-8, which the parser would replace.
}

/**
 * Returns the fields that {@link parseForm} parsed, or undefined if there is no body.
 *
 * @throws AppError `unsupported_media_type` if the body is not a form.
 */
export function formBody(req: Request): unknown {
  if (req.headers['content-length'] === '0') return undefined;
  if (req.is('application/x-www-form-urlencoded') === false) throw new AppError('unsupported_media_type');
  // The parser's object has no prototype, but schemas expect a plain object.
  return req.body === undefined ? undefined : { ...(req.body as object) };
}

/**
 * A trimmed line of 1 to `max` UTF-16 units. Refuses control characters, because the text reaches logs, emails and
 * terminals. Also refuses bidirectional controls, which can disguise text, and lines without a visible character.
 */
export const lineField = (max: number) =>
  textWithout(max, /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u, 'must be one line of text').regex(
    // Empty text is refused for its length.
    /^$|[^\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}]/u,
    'must have a visible character',
  );

/** Like {@link lineField}, but line breaks and tabs are allowed. */
export const textField = (max: number) => textWithout(max, /[^\P{Cc}\n\r\t]/u, 'must be text');

const textWithout = (max: number, refused: RegExp, message: string) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .refine((value) => value.isWellFormed() && !refused.test(value), message);
