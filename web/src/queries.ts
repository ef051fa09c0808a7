import type { operations } from '@countersign/client';
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { client } from './client.ts';
import { answerOf, type Result, taggedAnswerOf } from './failure.ts';

export type ListQuery = NonNullable<operations['listComplaints']['parameters']['query']>;

type Page<Item> = Readonly<{ items: readonly Item[]; next_cursor: string | null }>;
type Position = Readonly<{ limit: number; cursor?: string }>;

/** Reads all pages of a list. */
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
    initialPageParam: {} as { cursor?: string },
    getNextPageParam: ({ next_cursor: cursor }) => (cursor === null ? undefined : { cursor }),
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

/** The tenant's agents, to whom complaints can be assigned. */
export const agentsQuery = queryOptions({
  queryKey: ['agents'],
  staleTime: 300_000,
  queryFn: ({ signal }) =>
    allItems((page) => client.api.GET('/v1/users', { params: { query: { role: 'agent', ...page } }, signal })),
});
