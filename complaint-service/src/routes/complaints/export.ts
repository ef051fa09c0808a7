import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { staffRoles } from '../../domain/access.ts';
import { exportComplaints } from '../../flows/export/export-complaints.ts';
import { route } from '../route.ts';
import { filterFields } from './list-filters.ts';

export const exportRoutes = [
  route({
    method: 'get',
    path: '/v1/complaints/export',
    operationId: 'exportComplaints',
    tag: 'Complaints',
    summary: 'Export complaints as CSV, newest first',
    description:
      'The file is UTF-8 CSV (RFC 4180) with a header row. Accepts the same filters as the list. If a spreadsheet would treat a cell as a formula, the cell begins with an apostrophe. If an export fails halfway, the response ends without its last chunk.',
    callers: ['user'],
    roles: staffRoles,
    query: z.strictObject(filterFields),
    responses: {
      200: {
        schema: z.string(),
        mediaType: 'text/csv',
        headers: { 'content-disposition': 'A file name with the date.' },
      },
    },
    errors: [],
  }).handle(async ({ req, res, identity, query }, parts) => {
    const described = {
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': `attachment; filename="complaints-${parts.now().toISOString().slice(0, 10)}.csv"`,
      'x-content-type-options': 'nosniff',
    };
    // Without this, the headers would wait until everything has been read.
    if (req.method === 'HEAD') return res.set(described).end();
    const rows = exportComplaints(parts, identity, query);
    // Reads the first part before sending headers, so that a failure still gets an error response.
    const head = await rows.next();
    const first = await rows.next();
    res.set(described);
    async function* whole() {
      yield* [head.value, first.value].filter((part) => part !== undefined);
      yield* rows;
    }
    return pipeline(Readable.from(whole()), res).catch((error: unknown) => {
      // Without the last chunk, the reader can tell that the file is incomplete.
      if (!res.destroyed) res.destroy();
      if ((error as { code?: string }).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    });
  }),
];
