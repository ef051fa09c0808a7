import { z } from 'zod';

const worker = z
  .string()
  .regex(/^[1-9]\d{0,3}$/, 'must be a worker number')
  .optional()
  .describe('A worker number.');

/** @param response Also defines how to merge the responses of several processes: see `merge`. */
export const view = <const Path extends `/api/${string}`, Response extends z.ZodType>(
  tag: 'Traffic' | 'State',
  path: Path,
  operationId: string,
  summary: string,
  response: Response,
  query: z.ZodRawShape = {},
) => ({
  method: 'get' as const,
  path,
  operationId,
  tag,
  summary,
  callers: ['anonymous'] as const,
  query: z.strictObject({ ...query, worker }),
  responses: { 200: response },
  errors: [] as const,
});

export type ViewOf<Response extends z.ZodType> = Readonly<{
  path: string;
  query: z.ZodObject;
  responses: Readonly<{ 200: Response }>;
}>;

/** Names and values from a path and a query. An empty value counts as absent. */
export type Query = Readonly<Record<string, string | undefined>>;

/** @param query Includes the path parameters. Unknown names are ignored. */
export type ReadView = <Response extends z.ZodType>(
  view: ViewOf<Response>,
  query?: Query,
) => Promise<z.output<Response>>;
