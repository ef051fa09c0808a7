import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { categoriesQuery, complaintsQuery } from '../queries.ts';
import type { Complaint } from '../session.ts';
import { useCategoryText } from '../texts/categories.ts';
import { nameText, type Texts, useTexts } from '../texts/texts.ts';
import { SelectField } from '../ui/field.tsx';
import { PriorityPill, StatusPill, Time, useTitle, Waiting } from '../ui/state.tsx';
import { activeStatuses, type Filters, orders, owners, priorities, queryOf, readFilters, statuses } from './filters.ts';
import { lastQueue, useShortcuts } from './navigation.ts';

const route = getRouteApi('/queue');

/** The tenant's complaints, for staff. Events keep the list up to date. */
export function Queue() {
  const texts = useTexts();
  const filters = route.useSearch();
  const query = useInfiniteQuery(complaintsQuery({ ...queryOf(filters), total: true }));
  const items = query.data?.pages.flatMap((page) => page.items);
  const list = useRef<HTMLUListElement>(null);
  useTitle(texts.menu.queue);

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
    const rows = [...(list.current?.querySelectorAll<HTMLElement>('a.entry') ?? [])];
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
      <header className="row between">
        <h1>{texts.menu.queue}</h1>
        <p role="status" className="muted">
          {items !== undefined && texts.queue.shown(items.length, query.data?.pages[0]?.total ?? items.length)}
        </p>
      </header>
      <QueueFilters onSearch={setSearched} />
      {items === undefined && <Waiting query={query} />}
      {items?.length === 0 && <p className="card empty">{texts.queue.empty}</p>}
      {items !== undefined && items.length > 0 && (
        <ul className="card rows queue" ref={list}>
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
  const {
    id,
    number,
    title,
    category,
    status,
    priority,
    overdue,
    assignee_name: assignee,
    created_at: createdAt,
    location,
    service_level: level,
  } = complaint;
  const categoryText = useCategoryText();
  const dueAt = level.first_answered_at === null ? level.first_answer_due_at : level.resolution_due_at;
  return (
    <Link className="entry" to="/queue/$id" params={{ id }} data-id={id}>
      <span>
        <b>{title}</b>
        <span className="muted">{[number, categoryText(category), location?.address].filter(Boolean).join(' · ')}</span>
      </span>
      <span className="row">
        <StatusPill status={status} />
        <PriorityPill priority={priority} />
      </span>
      <span className="muted">
        <Time of={createdAt} say={texts.complaint.filed} />
      </span>
      <span className="muted">{complaint.assignee_id === null ? texts.queue.none : nameText(texts, assignee)}</span>
      <span className={overdue ? 'error' : 'muted'}>
        {dueAt === null || !activeStatuses.includes(status) ? (
          <Time of={complaint.updated_at} say={texts.mine.updated} />
        ) : (
          <Time of={dueAt} say={overdue ? texts.queue.wasDue : texts.queue.due} />
        )}
      </span>
    </Link>
  );
}

/** The filters, which are in the URL so that views can be bookmarked and shared. */
function QueueFilters({ onSearch }: { onSearch: (text: string) => void }) {
  const texts = useTexts();
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const categoryText = useCategoryText();
  const categories = useQuery(categoriesQuery).data ?? [];
  const set = (name: keyof Filters, value: string | boolean) =>
    void navigate({ search: readFilters({ ...filters, [name]: value || undefined }), replace: true });
  return (
    <search className="filters row" aria-label={texts.queue.filters}>
      {choicesOf(
        texts,
        categories.map(({ name }) => [name, categoryText(name)]),
      ).map(({ name, label, none, options }) => (
        <SelectField
          key={name}
          id={name}
          label={label}
          none={none}
          value={filters[name] ?? ''}
          onChange={({ target }) => set(name, target.value)}
          options={options}
        />
      ))}
      <form
        className="field"
        action={(form) => {
          const text = String(form.get('q')).trim();
          set('q', text);
          onSearch(text);
        }}
      >
        <label htmlFor="search">{texts.queue.search}</label>
        <input id="search" type="search" name="q" maxLength={200} defaultValue={filters.q} enterKeyHint="search" />
      </form>
      <div className="row">
        <label className="check">
          <input
            type="checkbox"
            checked={filters.overdue === true}
            onChange={({ target }) => set('overdue', target.checked)}
          />
          {texts.queue.overdue}
        </label>
        <button type="button" className="link" onClick={() => void navigate({ search: {}, replace: true })}>
          {texts.queue.reset}
        </button>
      </div>
    </search>
  );
}

type Choice = Readonly<{
  name: Exclude<keyof Filters, 'overdue' | 'q'>;
  label: string;
  /** The label if nothing is chosen. */
  none: string;
  options: readonly (readonly [value: string, text: string])[];
}>;

function choicesOf({ queue, status, priority }: Texts, categories: Choice['options']): Choice[] {
  const others = orders.filter((order) => order !== 'priority');
  const named = <Name extends string>(names: readonly Name[], texts: Readonly<Record<Name, string>>) =>
    names.map((name) => [name, texts[name]] as const);
  const anyStatus = [['any', queue.any] as const, ...named(statuses, status)];
  return [
    { name: 'whose', label: queue.whose, none: queue.everyone, options: named(owners, queue) },
    { name: 'status', label: queue.status, none: queue.active, options: anyStatus },
    { name: 'category', label: queue.category, none: queue.any, options: categories },
    { name: 'priority', label: queue.priority, none: queue.any, options: named(priorities, priority) },
    { name: 'sort', label: queue.sort, none: queue.orders.priority, options: named(others, queue.orders) },
  ];
}
