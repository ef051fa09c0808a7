import type { operations } from '@countersign/client';
import { infiniteQueryOptions, queryOptions, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { answerOf, type Result, taggedAnswerOf } from './failure.ts';
import { client, isLeaving, session } from './session.ts';
import { useStored } from './store.ts';

export type ListQuery = NonNullable<operations['listComplaints']['parameters']['query']>;

type Page<Item> = Readonly<{ items: readonly Item[]; next_cursor: string | null }>;
type Position = Readonly<{ limit: number; cursor?: string }>;

async function allItems<Item>(read: (query: Position) => Promise<Result<Page<Item>>>): Promise<Item[]> {
  const items: Item[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await answerOf(read({ limit: 100, ...(cursor !== undefined && { cursor }) }));
    items.push(...page.items);
    cursor = page.next_cursor;
  }
  return items;
}

export const complaintsQuery = (query: ListQuery) =>
  infiniteQueryOptions({
    queryKey: ['complaints', query],
    queryFn: ({ pageParam, signal }) =>
      answerOf(client.api.GET('/v1/complaints', { params: { query: { ...query, ...pageParam } }, signal })),
    initialPageParam: {} as Pick<ListQuery, 'cursor' | 'total'>,
    getNextPageParam: ({ next_cursor: cursor }) => (cursor === null ? undefined : { cursor, total: false }),
  });

export const complaintQuery = (id: string) =>
  queryOptions({
    queryKey: ['complaint', id],
    queryFn: ({ signal }) =>
      taggedAnswerOf(client.api.GET('/v1/complaints/{id}', { params: { path: { id } }, signal })),
  });

export const commentsQuery = (id: string) =>
  queryOptions({
    queryKey: ['complaint', id, 'comments'],
    queryFn: ({ signal }) =>
      allItems((query) => client.api.GET('/v1/complaints/{id}/comments', { params: { path: { id }, query }, signal })),
  });

export const historyQuery = (id: string) =>
  queryOptions({
    queryKey: ['complaint', id, 'history'],
    queryFn: ({ signal }) =>
      allItems((query) => client.api.GET('/v1/complaints/{id}/history', { params: { path: { id }, query }, signal })),
  });

export const filesQuery = (id: string) =>
  queryOptions({
    queryKey: ['complaint', id, 'files'],
    queryFn: async ({ signal }) => {
      const path = { id };
      return (await answerOf(client.api.GET('/v1/complaints/{id}/attachments', { params: { path }, signal }))).items;
    },
  });

/** A file's bytes never change, and a list shows only a few files. */
export const fileQuery = (id: string, attachmentId: string) =>
  queryOptions({
    queryKey: ['file', attachmentId],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) =>
      answerOf<Blob>(
        client.api.GET('/v1/complaints/{id}/attachments/{attachmentId}', {
          params: { path: { id, attachmentId } },
          parseAs: 'blob',
          signal,
        }),
      ),
  });

export const categoriesQuery = queryOptions({
  queryKey: ['categories'],
  staleTime: 300_000,
  queryFn: async ({ signal }) => (await answerOf(client.api.GET('/v1/categories', { signal }))).items,
});

/** The kinds of email from which the user has unsubscribed. */
export const unsubscribedQuery = queryOptions({
  queryKey: ['unsubscribed'],
  queryFn: async ({ signal }) => (await answerOf(client.api.GET('/v1/mail/unsubscribed', { signal }))).items,
});

/** The tenant's agents, to whom complaints can be assigned. */
export const agentsQuery = queryOptions({
  queryKey: ['agents'],
  staleTime: 300_000,
  queryFn: ({ signal }) =>
    allItems((page) => client.api.GET('/v1/users', { params: { query: { role: 'agent', ...page } }, signal })),
});

type Change = Readonly<{ complaint_id: string; actor_id: string }>;

/**
 * Reloads the data that an event concerns. A hidden page closes its stream, because browsers allow six connections per
 * origin, and the service ten streams per user. When the page is shown again, the stream continues after the last
 * event.
 */
export function useLiveEvents(): void {
  const queries = useQueryClient();
  const leaving = useStored(isLeaving);
  useEffect(() => {
    if (leaving) return;
    let lastEventId: string | undefined;
    let stopping = new AbortController();

    async function follow(signal: AbortSignal): Promise<void> {
      const resumed = lastEventId === undefined ? {} : { lastEventId };
      for await (const { event, id, data } of client.events('/v1/complaints/events', { signal, ...resumed })) {
        lastEventId = id ?? lastEventId;
        const { complaint_id: changed, actor_id: actor } = (
          event === 'reset' ? {} : JSON.parse(data)
        ) as Partial<Change>;
        const queryKey = changed === undefined ? ['complaint'] : ['complaint', changed];
        // An action on this page reloads the same data after its response.
        if (actor === session.get()?.user.id && queries.isMutating({ mutationKey: queryKey }) > 0) continue;
        void queries.invalidateQueries({ queryKey: ['complaints'] });
        void queries.invalidateQueries({ queryKey });
      }
    }
    function followWhileVisible(): void {
      stopping.abort();
      if (document.hidden) return;
      stopping = new AbortController();
      // Without a stream, lists reload when the page gets the focus.
      follow(stopping.signal).catch(() => {});
    }

    followWhileVisible();
    document.addEventListener('visibilitychange', followWhileVisible);
    return () => {
      stopping.abort();
      document.removeEventListener('visibilitychange', followWhileVisible);
    };
  }, [queries, leaving]);
}
