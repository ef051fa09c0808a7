import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { complaintQuery } from '../queries.ts';
import type { Complaint, Status, Transition } from '../session.ts';
import { useCategoryText } from '../texts/categories.ts';
import { useTexts } from '../texts/texts.ts';
import { StatusPill, Time, useTitle, Waiting } from '../ui/state.tsx';
import type { Seen } from './actions.ts';
import { CommentForm, Comments, History, LastMove } from './comments.tsx';
import { Description } from './description.tsx';
import { Files } from './files.tsx';
import { EditDialog, MoveButtons, MoveDialog } from './move-and-assign.tsx';

const route = getRouteApi('/complaints/$id');

export function ComplaintPage() {
  const texts = useTexts();
  const categoryText = useCategoryText();
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
          <StatusPill status={status} /> {number} · {categoryText(category)} ·{' '}
          <Time of={createdAt} say={texts.complaint.filed} />
        </p>
      </header>
      <section className="card" aria-labelledby="standing">
        <h2 id="standing">{texts.complaint.progress}</h2>
        <Progress status={status} />
        <p role="status">{texts.standing[status]}</p>
        <LastMove complaint={complaint} />
      </section>
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
      <NextSteps seen={{ id, etag }} complaint={complaint} />
      <History complaint={complaint} />
    </article>
  );
}

/** What the complainant can do now. */
function NextSteps({ seen, complaint }: { seen: Seen; complaint: Complaint }) {
  const texts = useTexts();
  const [asking, setAsking] = useState<Transition>();
  const [isEditing, setEditing] = useState(false);
  const { transitions: next, edit } = complaint.allowed;
  return (
    <section className="card" aria-labelledby="next-steps">
      <h2 id="next-steps">{texts.next_steps.title}</h2>
      <p className="muted">{next.length > 0 ? texts.next_steps.always : texts.next_steps.none}</p>
      <MoveButtons seen={seen} next={next} onAsk={setAsking}>
        {edit && (
          <button type="button" onClick={() => setEditing(true)}>
            {texts.complaint.edit}
          </button>
        )}
      </MoveButtons>
      {asking !== undefined && <MoveDialog seen={seen} choices={[asking]} onClose={() => setAsking(undefined)} />}
      {isEditing && <EditDialog seen={seen} complaint={complaint} onClose={() => setEditing(false)} />}
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
function Progress({ status }: { status: Status }) {
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
