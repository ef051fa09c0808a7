import { isUtf8 } from 'node:buffer';
import express, { type Request, type RequestHandler } from 'express';
import { AppError } from '../errors.ts';

/**
 * Parses a JSON body, which must be UTF-8 (RFC 8259 section 8.1). A lenient decoder would read every invalid byte as
 * U+FFFD, so that two passwords that differ only in such bytes would be equal.
 */
export const parseJson = (maxBytes: number): RequestHandler =>
  express.json({ limit: maxBytes, inflate: false, strict: true, verify: assertUtf8 });

function assertUtf8(_req: unknown, _res: unknown, body: Buffer, charset: string): void {
  if (charset !== 'utf-8' || !isUtf8(body)) throw new Error('the body is not UTF-8');
}

/** @throws AppError `unsupported_media_type` if there is a body that is not JSON. */
export function jsonBody(req: Request): unknown {
  if (req.headers['content-length'] === '0') return undefined;
  if (req.is('application/json') === false) throw new AppError('unsupported_media_type');
  return req.body;
}

/** Parses a form. A repeated field becomes an array, which text schemas refuse (RFC 6749 section 3.2). */
export const parseForm = (maxBytes: number): RequestHandler =>
  express.urlencoded({ limit: maxBytes, inflate: false, extended: false, verify: assertUtf8Form });

function assertUtf8Form(req: unknown, res: unknown, body: Buffer, charset: string): void {
  assertUtf8(req, res, body, charset);
  decodeURIComponent(body.toString()); // Throws for escapes that are not UTF-8, which the parser would replace.
}

/** @throws AppError `unsupported_media_type` if there is a body that is not a form. */
export function formBody(req: Request): unknown {
  if (req.headers['content-length'] === '0') return undefined;
  if (req.is('application/x-www-form-urlencoded') === false) throw new AppError('unsupported_media_type');
  // The parser's object has no prototype, but schemas expect a plain object.
  return req.body === undefined ? undefined : { ...(req.body as object) };
}
