import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import type { Complaint, Status } from '../client.ts';
import { complaintQuery } from '../queries.ts';
import { useTexts } from '../texts/texts.ts';
import { ErrorNotice, StatusPill, Waiting } from '../ui/state.tsx';
import { Time } from '../ui/time.tsx';
import { useTitle } from '../ui/use-title.ts';
import { nextStatuses, statusesWithReason } from '../workflow.ts';
import { useMove } from './actions.ts';
import { Comments } from './comments.tsx';
import { Description } from './description.tsx';
import { Files } from './files.tsx';
import { History } from './history.tsx';
import { MoveDialog } from './move-dialog.tsx';
import { Progress } from './progress.tsx';

const route = getRouteApi('/complaints/$id');

export function ComplaintPage() {
  const { id } = route.useParams();
  const query = useQuery(complaintQuery(id));
  useTitle(query.data?.data.title);
  if (query.data === undefined) return <Waiting query={query} />;
  const { data: complaint, etag } = query.data;
  const { title, status, category, created_at: createdAt } = complaint;
  return (
    <article className="narrow" key={id}>
      <header className="complaint-head">
        <h1>{title}</h1>
        <p className="muted">
          <StatusPill status={status} /> {category} · <Filed at={createdAt} />
        </p>
      </header>
      <Standing complaint={complaint} etag={etag} />
      <Description complaint={complaint} />
      <Files complaintId={id} />
      <Comments complaintId={id} />
      <History complaint={complaint} />
    </article>
  );
}

function Filed({ at }: { at: string }) {
  return <Time of={at} say={useTexts().complaint.filed} />;
}

/** The complaint's status, and what the complainant can do now. */
function Standing({ complaint, etag }: { complaint: Complaint; etag: string }) {
  const texts = useTexts();
  const { id, status } = complaint;
  const move = useMove({ id, etag });
  const [asking, setAsking] = useState<Status>();
  const next = nextStatuses(status, 'complainant');
  const choose = (to: Status) => (statusesWithReason.includes(to) ? setAsking(to) : move.mutate({ to }));
  return (
    <section className="card" aria-labelledby="standing">
      <h2 id="standing">{texts.complaint.progress}</h2>
      <Progress status={status} />
      <p role="status">{texts.standing[status]}</p>
      <h3>{texts.next_steps.title}</h3>
      {next.length > 0 && (
        <p className="actions">
          {next.map((to) => (
            <button
              key={to}
              type="button"
              className={to === 'closed' ? 'primary' : undefined}
              disabled={move.isPending}
              onClick={() => choose(to)}
            >
              {texts.move[to]}
            </button>
          ))}
        </p>
      )}
      <p className="muted">{next.length > 0 ? texts.next_steps.always : texts.next_steps.none}</p>
      {move.error !== null && asking === undefined && <ErrorNotice error={move.error} />}
      {asking !== undefined && (
        <MoveDialog seen={{ id, etag }} choices={[asking]} hasReader={false} onClose={() => setAsking(undefined)} />
      )}
    </section>
  );
}
