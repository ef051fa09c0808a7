import { useMutation, useQueryClient } from '@tanstack/react-query';
import { answerOf } from '../failure.ts';
import { client, type Priority, type Status } from '../session.ts';

/** A file, and the Idempotency-Key of its upload. */
export type Upload = Readonly<{ id: string; file: File }>;

/** Attaches a file to a complaint. A repeated upload stores the file only once. */
export const attachFile = (complaintId: string, { id, file }: Upload, signal?: AbortSignal) =>
  answerOf(
    client.api.POST('/v1/complaints/{id}/attachments', {
      params: { path: { id: complaintId }, query: { name: file.name }, header: { 'idempotency-key': id } },
      headers: { 'content-type': file.type },
      body: file as never,
      bodySerializer: (body: unknown) => body as File,
      ...(signal !== undefined && { signal }),
    }),
  );

export type Move = Readonly<{ to: Status; reason?: string; duplicate_of?: string }>;

/**
 * A complaint as last read. Because of its entity tag, the service refuses to change a newer state than the user has
 * seen.
 */
export type Seen = Readonly<{ id: string; etag: string }>;

/** Changes a complaint, then reloads it, even if the change is refused. */
function useAction<Input>(id: string, act: (input: Input) => Promise<unknown>) {
  const queries = useQueryClient();
  return useMutation({
    mutationKey: ['complaint', id],
    networkMode: 'always',
    mutationFn: act,
    onSettled: () =>
      Promise.all([
        queries.invalidateQueries({ queryKey: ['complaint', id] }),
        queries.invalidateQueries({ queryKey: ['complaints'] }),
      ]),
  });
}

export const useMove = ({ id, etag }: Seen) =>
  useAction(id, (body: Move) => {
    const params = { path: { id }, header: { 'if-match': etag } };
    return answerOf(client.api.POST('/v1/complaints/{id}/transition', { params, body }));
  });

/** Assigns a complaint to an agent, or returns it to the queue. */
export const useAssign = ({ id, etag }: Seen) =>
  useAction(id, (assignee: string | undefined) => {
    const params = { path: { id }, header: { 'if-match': etag } };
    return answerOf(
      assignee === undefined
        ? client.api.POST('/v1/complaints/{id}/unassign', { params, body: {} })
        : client.api.POST('/v1/complaints/{id}/assign', { params, body: { assignee_id: assignee } }),
    );
  });

export type Edit = Readonly<{ category?: string; priority?: Priority }>;

export const useEdit = ({ id, etag }: Seen) =>
  useAction(id, (body: Edit) => {
    const params = { path: { id }, header: { 'if-match': etag } };
    return answerOf(client.api.PATCH('/v1/complaints/{id}', { params, body }));
  });

export const useRemoveFile = (id: string) =>
  useAction(id, (attachmentId: string) => {
    const params = { path: { id, attachmentId } };
    return answerOf(client.api.DELETE('/v1/complaints/{id}/attachments/{attachmentId}', { params }));
  });

type Remark = Readonly<{ key: string; body: string; internal: boolean }>;

export const useComment = (id: string) =>
  useAction(id, ({ key, ...body }: Remark) => {
    const params = { path: { id }, header: { 'idempotency-key': key } };
    return answerOf(client.api.POST('/v1/complaints/{id}/comments', { params, body }));
  });
