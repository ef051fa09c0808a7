import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { complaintQuery } from '../queries.ts';
import type { Complaint, Status, Transition } from '../session.ts';
import { useTexts } from '../texts/texts.ts';
import { StatusPill, Time, useTitle, Waiting } from '../ui/state.tsx';
import type { Seen } from './actions.ts';
import { CommentForm, Comments, History } from './comments.tsx';
import { Description } from './description.tsx';
import { Files } from './files.tsx';
import { MoveButtons, MoveDialog } from './move-and-assign.tsx';

const route = getRouteApi('/complaints/$id');

export function ComplaintPage() {
  const texts = useTexts();
  const { id } = route.useParams();
  const query = useQuery(complaintQuery(id));
  useTitle(query.data?.data.title);
  if (query.data === undefined) return <Waiting query={query} />;
  const { data: complaint, etag } = query.data;
  const { number, title, status, category, created_at: createdAt } = complaint;
  return (
    <article className="narrow stack" key={id}>
      <header>
        <h1>{title}</h1>
        <p className="muted">
          <StatusPill status={status} /> {number} · {category} · <Time of={createdAt} say={texts.complaint.filed} />
        </p>
      </header>
      <Standing seen={{ id, etag }} complaint={complaint} />
      <Description complaint={complaint} />
      <Files complaintId={id} />
      <Comments complaintId={id}>
        <CommentForm
          complaintId={id}
          internal={false}
          label={texts.complaint.comment}
          action={texts.complaint.addComment}
          sent={texts.complaint.commentSent}
        />
      </Comments>
      <History complaint={complaint} />
    </article>
  );
}

/** The complaint's status, and what the complainant can do now. */
function Standing({ seen, complaint: { status, allowed } }: { seen: Seen; complaint: Complaint }) {
  const texts = useTexts();
  const [asking, setAsking] = useState<Transition>();
  const next = allowed.transitions;
  return (
    <section className="card" aria-labelledby="standing">
      <h2 id="standing">{texts.complaint.progress}</h2>
      <Progress status={status} />
      <p role="status">{texts.standing[status]}</p>
      <h3>{texts.next_steps.title}</h3>
      {next.length > 0 && <MoveButtons seen={seen} next={next} onAsk={setAsking} />}
      <p className="muted">{next.length > 0 ? texts.next_steps.always : texts.next_steps.none}</p>
      {asking !== undefined && (
        <MoveDialog seen={seen} choices={[asking]} hasReader={false} onClose={() => setAsking(undefined)} />
      )}
    </section>
  );
}

const stages = ['open', 'in_progress', 'resolved', 'closed'] as const;
const stageOf: Partial<Record<Status, (typeof stages)[number]>> = {
  open: 'open',
  assigned: 'open',
  reopened: 'open',
  in_progress: 'in_progress',
  resolved: 'resolved',
  closed: 'closed',
};

/** The stages of a complaint. A complaint that left them, such as a rejected one, has no stage. */
export function Progress({ status }: { status: Status }) {
  const texts = useTexts();
  const stage = stageOf[status];
  if (stage === undefined) return null;
  const at = stages.indexOf(stage);
  return (
    <ol className="steps">
      {stages.map((each, index) => (
        <li key={each} className={index < at ? 'done' : undefined} aria-current={index === at ? 'step' : undefined}>
          {texts.status[each]}
        </li>
      ))}
    </ol>
  );
}
