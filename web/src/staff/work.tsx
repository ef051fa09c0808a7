import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import type { Complaint, Status } from '../client.ts';
import { useAssign } from '../complaints/actions.ts';
import { Description } from '../complaints/description.tsx';
import { Files } from '../complaints/files.tsx';
import { History } from '../complaints/history.tsx';
import { MoveButtons } from '../complaints/move-buttons.tsx';
import { MoveDialog } from '../complaints/move-dialog.tsx';
import { complaintQuery } from '../queries.ts';
import { useSession } from '../session.ts';
import { useTexts } from '../texts/texts.ts';
import { PriorityPill, StatusPill, Waiting } from '../ui/state.tsx';
import { Time } from '../ui/time.tsx';
import { useTitle } from '../ui/use-title.ts';
import { isAssignable, nextStatuses } from '../workflow.ts';
import { AssignDialog, Assignment } from './assignment.tsx';
import { Conversation } from './conversation.tsx';
import { Facts } from './facts.tsx';
import { lastQueue, neighborOf } from './last-queue.ts';
import { useShortcuts } from './shortcuts.ts';

const route = getRouteApi('/queue/$id');

/** A complaint, as staff see it. */
export function Work() {
  const { id } = route.useParams();
  const query = useQuery(complaintQuery(id));
  useTitle(query.data?.data.title);
  useEffect(() => lastQueue.set({ ...lastQueue.get(), openId: id }), [id]);
  if (query.data === undefined) return <Waiting query={query} />;
  return <Opened key={id} complaint={query.data.data} etag={query.data.etag} />;
}

function Opened({ complaint, etag }: { complaint: Complaint; etag: string }) {
  const texts = useTexts();
  const { user, tenant } = useSession();
  const navigate = route.useNavigate();
  const seen = { id: complaint.id, etag };
  const assign = useAssign(seen);
  const [isAssigning, setAssigning] = useState(false);
  const [moving, setMoving] = useState<readonly Status[]>();
  const [isNote, setNote] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const next = nextStatuses(complaint.status, 'staff');
  const mayTake = tenant.role === 'agent' && complaint.assignee_id !== user.id && isAssignable(complaint.status);

  function write(asNote: boolean): void {
    // The other field must be visible before it can get the focus.
    flushSync(() => setNote(asNote));
    field.current?.focus();
  }
  function goBy(distance: 1 | -1): void {
    const id = neighborOf(complaint.id, distance);
    if (id !== undefined) void navigate({ to: '/queue/$id', params: { id } });
  }
  useShortcuts({
    j: () => goBy(1),
    k: () => goBy(-1),
    i: () => mayTake && assign.mutate(user.id),
    a: () => isAssignable(complaint.status) && setAssigning(true),
    m: () => setMoving(next),
    r: () => write(false),
    n: () => write(true),
    h: () => document.querySelector<HTMLElement>('#history > summary')?.click(),
  });

  return (
    <>
      <header className="complaint-head">
        <Link className="back" to="/queue" search={lastQueue.get().filters}>
          ← {texts.work.back}
        </Link>
        <h1>{complaint.title}</h1>
        <p className="pills">
          <StatusPill status={complaint.status} />
          <PriorityPill priority={complaint.priority} />
          {complaint.overdue && <span className="pill bad">{texts.queue.overdueMark}</span>}
          <span className="muted">
            {complaint.category} · <Time of={complaint.created_at} say={texts.complaint.filed} />
          </span>
        </p>
      </header>
      <div className="work">
        <aside>
          <section className="card" aria-labelledby="moves">
            <h2 id="moves">{texts.work.moves}</h2>
            <MoveButtons seen={seen} next={next} onAsk={(to) => setMoving([to])} />
          </section>
          <Assignment complaint={complaint} assign={assign} mayTake={mayTake} onAssign={() => setAssigning(true)} />
          <Facts complaint={complaint} />
        </aside>
        <div>
          <Description complaint={complaint} />
          <Files complaintId={complaint.id} />
          <Conversation complaintId={complaint.id} isNote={isNote} onNote={setNote} fieldRef={field} />
          <History complaint={complaint} />
        </div>
      </div>
      {moving !== undefined && (
        <MoveDialog seen={seen} choices={moving} hasReader onClose={() => setMoving(undefined)} />
      )}
      {isAssigning && <AssignDialog seen={seen} current={complaint.assignee_id} onClose={() => setAssigning(false)} />}
    </>
  );
}
