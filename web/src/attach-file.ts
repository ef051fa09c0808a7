import { client } from './client.ts';
import { answerOf } from './failure.ts';

/** A file, with the Idempotency-Key of its upload. */
export type Upload = Readonly<{ id: string; file: File }>;

/** Attaches a file to a complaint. It can be repeated with the same upload, and is stored once. */
export const attachFile = (complaintId: string, { id, file }: Upload) =>
  answerOf(
    client.api.POST('/v1/complaints/{id}/attachments', {
      params: { path: { id: complaintId }, query: { name: file.name }, header: { 'idempotency-key': id } },
      headers: { 'content-type': file.type },
      body: file as never,
      bodySerializer: (body: unknown) => body as File,
    }),
  );
