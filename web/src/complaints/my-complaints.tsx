import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { complaintsQuery } from '../queries.ts';
import { useCategoryText } from '../texts/categories.ts';
import { useTexts } from '../texts/texts.ts';
import { StatusPill, Time, useTitle, Waiting } from '../ui/state.tsx';

export function MyComplaints() {
  const texts = useTexts();
  const categoryText = useCategoryText();
  const query = useInfiniteQuery(complaintsQuery({ mine: true, sort: 'updated' }));
  useTitle(texts.menu.mine);
  const items = query.data?.pages.flatMap((page) => page.items);
  return (
    <div className="narrow stack">
      <header className="row between">
        <h1>{texts.menu.mine}</h1>
        <Link className="button primary" to="/new" search={{ step: 'category' }}>
          {texts.menu.file}
        </Link>
      </header>
      {items === undefined && <Waiting query={query} />}
      {items?.length === 0 && (
        <section className="card empty">
          <p>{texts.mine.empty}</p>
          <Link to="/new" search={{ step: 'category' }}>
            {texts.mine.first}
          </Link>
        </section>
      )}
      {items !== undefined && items.length > 0 && (
        <ul className="card rows">
          {items.map(({ id, number, title, category, status, updated_at: updatedAt }) => (
            <li key={id}>
              <Link className="entry" to="/complaints/$id" params={{ id }}>
                <b>{title}</b>
                <StatusPill status={status} />
                <span className="muted">
                  {number} · {categoryText(category)} · <Time of={updatedAt} say={texts.mine.updated} />
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
      {query.hasNextPage && (
        <button type="button" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {texts.more}
        </button>
      )}
    </div>
  );
}
