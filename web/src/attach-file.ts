import { client } from './client.ts';
import { answerOf } from './failure.ts';

/** A file, and the Idempotency-Key of its upload. */
export type Upload = Readonly<{ id: string; file: File }>;

/** Attaches a file to a complaint. A repeated upload stores the file only once. */
export const attachFile = (complaintId: string, { id, file }: Upload) =>
  answerOf(
    client.api.POST('/v1/complaints/{id}/attachments', {
      params: { path: { id: complaintId }, query: { name: file.name }, header: { 'idempotency-key': id } },
      headers: { 'content-type': file.type },
      body: file as never,
      bodySerializer: (body: unknown) => body as File,
    }),
  );
