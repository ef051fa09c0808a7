import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import type { Complaint } from '../client.ts';
import { complaintsQuery } from '../queries.ts';
import { useTexts } from '../texts/texts.ts';
import { PriorityPill, StatusPill, Waiting } from '../ui/state.tsx';
import { Time } from '../ui/time.tsx';
import { useTitle } from '../ui/use-title.ts';
import { queryOf } from './filters.ts';
import { lastQueue } from './last-queue.ts';
import { QueueFilters } from './queue-filters.tsx';
import { useShortcuts } from './shortcuts.ts';

const route = getRouteApi('/queue');

/** The tenant's complaints, for staff. Events keep the list up to date. */
export function Queue() {
  const texts = useTexts();
  const filters = route.useSearch();
  const query = useInfiniteQuery(complaintsQuery(queryOf(filters)));
  const items = query.data?.pages.flatMap((page) => page.items);
  const list = useRef<HTMLUListElement>(null);
  useTitle(texts.queue.title);

  useEffect(() => {
    if (items !== undefined) lastQueue.set({ ...lastQueue.get(), filters, ids: items.map(({ id }) => id) });
  }, [items, filters]);
  // Restores the keyboard focus after returning from a complaint.
  useEffect(() => {
    const { openId } = lastQueue.get();
    if (openId !== undefined) list.current?.querySelector<HTMLElement>(`[data-id="${openId}"]`)?.focus();
  }, []);

  // A search moves the focus to the first result as soon as it is there.
  const [searched, setSearched] = useState<string>();
  useEffect(() => {
    if (items === undefined || searched !== (filters.q ?? '')) return;
    setSearched(undefined);
    if (document.activeElement?.id === 'search') focusRow(1);
  });

  function focusRow(distance: 1 | -1): void {
    const rows = [...(list.current?.querySelectorAll<HTMLElement>('a.row') ?? [])];
    const at = rows.indexOf(document.activeElement as HTMLElement);
    const next = at === -1 ? 0 : Math.min(rows.length - 1, Math.max(0, at + distance));
    rows[next]?.focus();
  }
  useShortcuts({
    j: () => focusRow(1),
    k: () => focusRow(-1),
    '/': () => document.getElementById('search')?.focus(),
  });

  return (
    <>
      <header className="page-head">
        <h1>{texts.queue.title}</h1>
        <p role="status" className="muted">
          {items !== undefined && texts.queue.shown(items.length, query.hasNextPage)}
        </p>
      </header>
      <QueueFilters onSearch={setSearched} />
      {items === undefined && <Waiting query={query} />}
      {items?.length === 0 && <p className="card empty">{texts.queue.empty}</p>}
      {items !== undefined && items.length > 0 && (
        <ul className="rows queue" ref={list}>
          {items.map((complaint) => (
            <li key={complaint.id}>
              <Row complaint={complaint} />
            </li>
          ))}
        </ul>
      )}
      {query.hasNextPage && (
        <button type="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {texts.more}
        </button>
      )}
    </>
  );
}

function Row({ complaint }: { complaint: Complaint }) {
  const texts = useTexts();
  const { id, title, category, status, priority, overdue, assignee_name: assignee, service_level: level } = complaint;
  const dueAt = level.first_answered_at === null ? level.first_answer_due_at : level.resolution_due_at;
  return (
    <Link className="row" to="/queue/$id" params={{ id }} data-id={id}>
      <span className="row-title">{title}</span>
      <span className="pills">
        <StatusPill status={status} />
        <PriorityPill priority={priority} />
      </span>
      <span className="muted">{category}</span>
      <span className="muted">{complaint.assignee_id === null ? texts.queue.none : (assignee ?? texts.unnamed)}</span>
      <span className={overdue ? 'error' : 'muted'}>
        {dueAt === null || level.resolved_at !== null ? (
          <Time of={complaint.updated_at} />
        ) : (
          <Time of={dueAt} say={overdue ? texts.queue.wasDue : texts.queue.due} />
        )}
      </span>
    </Link>
  );
}
