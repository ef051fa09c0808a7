import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type Ref, useEffect, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import { useAssign } from '../complaints/actions.ts';
import { CommentForm, Comments, History, LastMove } from '../complaints/comments.tsx';
import { Description } from '../complaints/description.tsx';
import { Files } from '../complaints/files.tsx';
import { AssignDialog, Assignment, EditDialog, MoveButtons, MoveDialog } from '../complaints/move-and-assign.tsx';
import { complaintQuery } from '../queries.ts';
import { type Complaint, type Transition, useSession } from '../session.ts';
import { useCategoryText } from '../texts/categories.ts';
import { nameText, useTexts } from '../texts/texts.ts';
import { PriorityPill, StatusPill, Time, useTitle, Waiting } from '../ui/state.tsx';
import { activeStatuses } from './filters.ts';
import { lastQueue, neighborOf, useShortcuts } from './navigation.ts';

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
  const categoryText = useCategoryText();
  const { user, tenant } = useSession();
  const navigate = route.useNavigate();
  const seen = { id: complaint.id, etag };
  const assign = useAssign(seen);
  const [isAssigning, setAssigning] = useState(false);
  const [isEditing, setEditing] = useState(false);
  const [moving, setMoving] = useState<readonly Transition[]>();
  const [isNote, setNote] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const { transitions: next, assign: mayAssign, edit: mayEdit } = complaint.allowed;
  const mayTake = tenant.role === 'agent' && complaint.assignee_id !== user.id && mayAssign;

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
    a: () => mayAssign && setAssigning(true),
    m: () => next.length > 0 && setMoving(next),
    e: () => mayEdit && setEditing(true),
    r: () => write(false),
    n: () => write(true),
    h: () => document.querySelector<HTMLElement>('#history > summary')?.click(),
  });

  return (
    <>
      <header>
        <Link className="back" to="/queue" search={lastQueue.get().filters}>
          ← {texts.menu.queue}
        </Link>
        <h1>{complaint.title}</h1>
        <p className="row">
          <StatusPill status={complaint.status} />
          <PriorityPill priority={complaint.priority} />
          {complaint.overdue && <span className="pill bad">{texts.queue.overdueMark}</span>}
          <span className="muted">
            {complaint.number} · {categoryText(complaint.category)} ·{' '}
            <Time of={complaint.created_at} say={texts.complaint.filed} />
          </span>
        </p>
      </header>
      <div className="work stack">
        <div className="stack">
          <Description complaint={complaint} />
          <Files complaintId={complaint.id} />
          <Conversation complaintId={complaint.id} isNote={isNote} onNote={setNote} fieldRef={field} />
          <History complaint={complaint} />
        </div>
        <aside className="stack">
          <section className="card" aria-labelledby="moves">
            <h2 id="moves">{texts.shortcuts.move}</h2>
            <LastMove complaint={complaint} />
            <MoveButtons seen={seen} next={next} onAsk={(transition) => setMoving([transition])} />
          </section>
          <Assignment complaint={complaint} assign={assign} mayTake={mayTake} onAssign={() => setAssigning(true)} />
          <Facts complaint={complaint} onEdit={() => setEditing(true)} />
        </aside>
      </div>
      {moving !== undefined && <MoveDialog seen={seen} choices={moving} onClose={() => setMoving(undefined)} />}
      {isEditing && <EditDialog seen={seen} complaint={complaint} onClose={() => setEditing(false)} />}
      {isAssigning && <AssignDialog seen={seen} current={complaint.assignee_id} onClose={() => setAssigning(false)} />}
    </>
  );
}

/** Who filed the complaint, and when an answer is due. */
function Facts({ complaint, onEdit }: { complaint: Complaint; onEdit: () => void }) {
  const texts = useTexts();
  const { work, queue, priority } = texts;
  const { reporter, service_level: level } = complaint;
  // Nothing is due once a complaint has ended.
  const isActive = activeStatuses.includes(complaint.status);
  return (
    <section className="card">
      <dl>
        <div>
          <dt>{reporter === null ? work.complainant : work.reporter}</dt>
          <dd>
            {reporter === null ? nameText(texts, complaint.complainant_name) : reporter.name}
            {reporter?.email && <span className="muted">{reporter.email}</span>}
            {reporter?.phone && <span className="muted">{reporter.phone}</span>}
          </dd>
        </div>
        <div>
          <dt>{queue.priority}</dt>
          <dd>{priority[complaint.priority]}</dd>
        </div>
        <Target
          name={work.firstAnswer}
          dueAt={isActive ? level.first_answer_due_at : null}
          doneAt={level.first_answered_at}
          isMissed={level.first_answer_overdue}
        />
        <Target
          name={work.resolution}
          dueAt={isActive ? level.resolution_due_at : null}
          doneAt={level.resolved_at}
          isMissed={level.resolution_overdue}
        />
      </dl>
      {complaint.allowed.edit && (
        <button type="button" onClick={onEdit}>
          {texts.shortcuts.edit}
        </button>
      )}
    </section>
  );
}

type TargetProps = Readonly<{ name: string; dueAt: string | null; doneAt: string | null; isMissed: boolean }>;

function Target({ name, dueAt, doneAt, isMissed }: TargetProps) {
  const { queue, work } = useTexts();
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {doneAt !== null && <Time of={doneAt} say={work.done} />}
        {doneAt === null && dueAt !== null && <Time of={dueAt} say={queue.due} />}
        {doneAt === null && dueAt === null && work.noTarget}
        {isMissed && <span className="error">{work.missed}</span>}
      </dd>
    </div>
  );
}

type Props = Readonly<{
  complaintId: string;
  isNote: boolean;
  onNote: (isNote: boolean) => void;
  /** The field in the current form. */
  fieldRef: Ref<HTMLTextAreaElement>;
}>;

/** Answers and internal notes in one list, in the order in which they were written. */
function Conversation({ complaintId, isNote, onNote, fieldRef }: Props) {
  const { work, shortcuts } = useTexts();
  const forms = [
    { internal: false, label: work.answer, action: work.sendAnswer, sent: work.answerSent },
    { internal: true, label: shortcuts.note, hint: work.noteHint, action: work.saveNote, sent: work.noteSaved },
  ];
  return (
    <Comments complaintId={complaintId}>
      <fieldset className="row">
        <legend className="sr-only">{work.tabs}</legend>
        {forms.map(({ internal }) => (
          <label className="check" key={String(internal)}>
            <input type="radio" name="remark" checked={isNote === internal} onChange={() => onNote(internal)} />
            {internal ? shortcuts.note : shortcuts.answer}
          </label>
        ))}
      </fieldset>
      {/* Each form keeps its own text, so that no key turns a note into an answer. */}
      {forms.map((form) => (
        <div
          key={String(form.internal)}
          className={form.internal ? 'writes-note' : undefined}
          hidden={isNote !== form.internal}
        >
          <CommentForm complaintId={complaintId} {...form} {...(isNote === form.internal && { fieldRef })} />
        </div>
      ))}
    </Comments>
  );
}
