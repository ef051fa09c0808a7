import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import type { Status } from '../client.ts';
import { complaintQuery } from '../queries.ts';
import { useTexts } from '../texts/texts.ts';
import { StatusPill, Waiting } from '../ui/state.tsx';
import { Time } from '../ui/time.tsx';
import { useTitle } from '../ui/use-title.ts';
import { nextStatuses } from '../workflow.ts';
import type { Seen } from './actions.ts';
import { CommentForm, Comments } from './comments.tsx';
import { Description } from './description.tsx';
import { Files } from './files.tsx';
import { History } from './history.tsx';
import { MoveButtons } from './move-buttons.tsx';
import { MoveDialog } from './move-dialog.tsx';
import { Progress } from './progress.tsx';

const route = getRouteApi('/complaints/$id');

export function ComplaintPage() {
  const texts = useTexts();
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
          <StatusPill status={status} /> {category} · <Time of={createdAt} say={texts.complaint.filed} />
        </p>
      </header>
      <Standing seen={{ id, etag }} status={status} />
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
function Standing({ seen, status }: { seen: Seen; status: Status }) {
  const texts = useTexts();
  const [asking, setAsking] = useState<Status>();
  const next = nextStatuses(status, 'complainant');
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
