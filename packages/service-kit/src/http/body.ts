import { isUtf8 } from 'node:buffer';
import express, { type Request, type RequestHandler } from 'express';
import { z } from 'zod';
import { AppError } from '../errors.ts';

/**
 * Parses a body of JSON, which is UTF-8 and nothing else (RFC 8259 section 8.1). A lenient decoder reads every wrong byte as
 * the same U+FFFD: two passwords that differ in those alone would be one.
 *
 * @param maxBytes The largest that is read.
 */
export const parseJson = (maxBytes: number): RequestHandler =>
  express.json({ limit: maxBytes, inflate: false, strict: true, verify: demandUtf8 });

function demandUtf8(_req: unknown, _res: unknown, body: Buffer, charset: string): void {
  if (charset !== 'utf-8' || !isUtf8(body)) throw new Error('the body is not UTF-8');
}

/**
 * What the parser of {@link createServiceApp} made of the body; undefined without one, which no schema takes.
 *
 * @throws AppError `unsupported_media_type`
 */
export function jsonBody(req: Request): unknown {
  if (req.headers['content-length'] === '0') return undefined;
  if (req.is('application/json') === false) throw new AppError('unsupported_media_type');
  return req.body;
}

/**
 * One line of text a person typed, trimmed, of 1 to `max` UTF-16 units. Control characters would end up in logs, mails and
 * terminals.
 */
export const lineField = (max: number) => textWithout(max, /\p{Cc}/u, 'must be one line of text');

/** As {@link lineField}, with line breaks and tabs. */
export const textField = (max: number) => textWithout(max, /[^\P{Cc}\n\r\t]/u, 'must be text');

const textWithout = (max: number, refused: RegExp, message: string) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .refine((value) => value.isWellFormed() && !refused.test(value), message);
