import { useQuery } from '@tanstack/react-query';
import { type ReactNode, type Ref, useRef, useState } from 'react';
import { commentsQuery } from '../queries.ts';
import { useSession } from '../session.ts';
import { useTexts } from '../texts/texts.ts';
import { TextField } from '../ui/field.tsx';
import { Form } from '../ui/form.tsx';
import { ErrorNotice, Waiting } from '../ui/state.tsx';
import { Time } from '../ui/time.tsx';
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
    <ol className="comments">
      {query.data.map((comment) => (
        <li key={comment.id} className={comment.internal ? 'internal' : undefined}>
          <p className="muted">
            <b>{comment.author_id === user.id ? texts.you : (comment.author_name ?? texts.unnamed)}</b>{' '}
            {comment.author_role !== 'complainant' && !comment.internal && (
              <span className="mark">{texts.complaint.staffMark}</span>
            )}
            {comment.internal && <span className="mark">{texts.complaint.noteMark}</span>}{' '}
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
  const [body, setBody] = useState('');
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
      <p className="actions">
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
