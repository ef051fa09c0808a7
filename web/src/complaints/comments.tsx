import type { components } from '@countersign/client';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, type Ref, useRef } from 'react';
import { commentsQuery, historyQuery } from '../queries.ts';
import { type Complaint, type Status, useSession } from '../session.ts';
import { nameText, type Texts, useTexts } from '../texts/texts.ts';
import { TextField, useKeptText } from '../ui/field.tsx';
import { Form } from '../ui/form.tsx';
import { ErrorNotice, Time, Waiting } from '../ui/state.tsx';
import { useComment } from './actions.ts';

/** A complaint's comments, and a form to add one. */
export function Comments({ complaintId, children }: { complaintId: string; children: ReactNode }) {
  const texts = useTexts();
  return (
    <section className="card" aria-labelledby="comments">
      <h2 id="comments" tabIndex={-1}>
        {texts.complaint.comments}
      </h2>
      <CommentList complaintId={complaintId} />
      {children}
    </section>
  );
}

function CommentList({ complaintId }: { complaintId: string }) {
  const texts = useTexts();
  const { user } = useSession();
  const query = useQuery(commentsQuery(complaintId));
  if (query.data === undefined) return <Waiting query={query} />;
  if (query.data.length === 0) return <p className="muted">{texts.complaint.noComments}</p>;
  return (
    <ol className="comments stack">
      {query.data.map((comment) => (
        <li key={comment.id} className={comment.internal ? 'internal' : undefined}>
          <p className="muted">
            <b>{comment.author_id === user.id ? texts.you : nameText(texts, comment.author_name)}</b>{' '}
            {comment.author_role !== 'complainant' && !comment.internal && (
              <span className="pill">{texts.complaint.staffMark}</span>
            )}
            {comment.internal && <span className="pill warn">{texts.complaint.noteMark}</span>}{' '}
            <Time of={comment.created_at} />
          </p>
          <p className="prose">{comment.body}</p>
        </li>
      ))}
    </ol>
  );
}

type FormProps = Readonly<{
  complaintId: string;
  internal: boolean;
  label: string;
  hint?: string;
  action: string;
  /** Announced after the comment was sent. */
  sent: string;
  fieldRef?: Ref<HTMLTextAreaElement>;
}>;

export function CommentForm({ complaintId, internal, label, hint, action, sent, fieldRef }: FormProps) {
  const add = useComment(complaintId);
  const [body, setBody] = useKeptText(`${complaintId} ${internal ? 'note' : 'comment'}`);
  // Sending the same text again after a lost response creates only one comment.
  const last = useRef({ key: '', text: '' });
  const submit = (form: HTMLFormElement) => {
    if (add.isPending) return;
    const text = body.trim();
    if (last.current.text !== text) last.current = { key: crypto.randomUUID(), text };
    // Moves the focus immediately: the next key may be a shortcut, and must not become part of the text.
    document.getElementById('comments')?.focus({ preventScroll: true });
    add.mutate(
      { key: last.current.key, body: text, internal },
      {
        onSuccess: () => {
          last.current = { key: '', text: '' };
          setBody('');
          // Otherwise the browser marks the empty field as invalid.
          form.reset();
        },
      },
    );
  };
  return (
    <Form onSubmit={submit}>
      <TextField
        multiline
        required
        maxLength={5_000}
        rows={3}
        label={label}
        {...(hint !== undefined && { hint })}
        {...(fieldRef !== undefined && { ref: fieldRef })}
        value={body}
        readOnly={add.isPending}
        onText={setBody}
      />
      {add.error !== null && <ErrorNotice error={add.error} />}
      <p className="row">
        <button type="submit" className={internal ? undefined : 'primary'} disabled={add.isPending}>
          {action}
        </button>
        <span role="status" className="muted">
          {add.isSuccess && body === '' && sent}
        </span>
      </p>
    </Form>
  );
}

type Entry = components['schemas']['HistoryEntry'];

/** All changes to a complaint. */
export function History({ complaint }: { complaint: Complaint }) {
  const texts = useTexts();
  const query = useQuery(historyQuery(complaint.id));
  return (
    <details className="card" id="history">
      <summary>
        <h2>{texts.complaint.history}</h2>
      </summary>
      {query.data === undefined && <Waiting query={query} />}
      <ol className="history stack">
        {query.data?.map((entry) => (
          <Change key={entry.id} entry={entry} complaint={complaint} />
        ))}
      </ol>
    </details>
  );
}

/** Who gave the complaint its status, and why. */
export function LastMove({ complaint }: { complaint: Complaint }) {
  const { data } = useQuery(historyQuery(complaint.id));
  const last = data?.findLast(({ action, to }) => action === 'moved' && to === complaint.status);
  return last && <ul className="history">{<Change entry={last} complaint={complaint} />}</ul>;
}

function Change({ entry, complaint }: { entry: Entry; complaint: Complaint }) {
  const texts = useTexts();
  const isOwn = entry.actor_id === useSession().user.id;
  return (
    <li>
      <b>{isOwn ? texts.you : nameText(texts, entry.actor_name)}</b> {isOwn ? texts.history.youHave : texts.history.has}{' '}
      {sentenceOf(texts, entry, complaint)} <Time of={entry.created_at} />
      {entry.reason !== undefined && <blockquote className="prose">{entry.reason}</blockquote>}
    </li>
  );
}

function sentenceOf(texts: Texts, { action, fields = [], from, to }: Entry, complaint: Complaint): string {
  const { history, status } = texts;
  const statusText = (name: string | null | undefined) => status[name as Status] ?? name ?? '';
  switch (action) {
    case 'filed':
      return history.filed;
    case 'edited':
      return history.edited(fields.map((field) => history.fields[field] ?? field).join(', '));
    case 'assigned': {
      const name = to === complaint.assignee_id ? complaint.assignee_name : null;
      return typeof to === 'string' ? history.assigned(name ?? history.agent) : history.assignedTeam;
    }
    case 'unassigned':
      return history.unassigned;
    case 'moved':
      return history.moved(statusText(from), statusText(to));
    default:
      return action;
  }
}
