import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { agentsQuery, complaintsQuery } from '../queries.ts';
import { type Complaint, type Transition, useSession } from '../session.ts';
import { nameText, useTexts } from '../texts/texts.ts';
import { Dialog } from '../ui/dialog.tsx';
import { TextField } from '../ui/field.tsx';
import { Form } from '../ui/form.tsx';
import { ErrorNotice, Waiting } from '../ui/state.tsx';
import { type Seen, useAssign, useMove } from './actions.ts';

type ButtonsProps = Readonly<{
  seen: Seen;
  next: readonly Transition[];
  /** Called for a transition that needs a reason. */
  onAsk: (transition: Transition) => void;
}>;

export function MoveButtons({ seen, next, onAsk }: ButtonsProps) {
  const texts = useTexts();
  const move = useMove(seen);
  return (
    <>
      <p className="row">
        {next.map((each) => (
          <button
            key={each.to}
            type="button"
            className={each.reason_required ? undefined : 'primary'}
            disabled={move.isPending}
            onClick={() => (each.reason_required ? onAsk(each) : move.mutate({ to: each.to }))}
          >
            {texts.move[each.to]}
          </button>
        ))}
      </p>
      {move.error !== null && <ErrorNotice error={move.error} />}
    </>
  );
}

type DialogProps = Readonly<{
  seen: Seen;
  /** The new status, or several to choose from. */
  choices: readonly Transition[];
  /** Whether the complainant will read the reason. */
  hasReader: boolean;
  onClose: () => void;
}>;

/** Asks for the fields that a status change needs, and makes the change. */
export function MoveDialog({ seen, choices, hasReader, onClose }: DialogProps) {
  const texts = useTexts();
  const move = useMove(seen);
  const [chosen, setChosen] = useState(choices[0]);
  const [reason, setReason] = useState('');
  const [duplicateOf, setDuplicateOf] = useState('');
  if (chosen === undefined) return null;
  const { to, reason_required: needsReason } = chosen;
  const submit = () => {
    const why = needsReason ? { reason: reason.trim() } : {};
    const original = to === 'duplicate' ? { duplicate_of: duplicateOf } : {};
    move.mutate({ to, ...why, ...original }, { onSuccess: onClose });
  };
  return (
    <Dialog title={choices.length > 1 ? texts.shortcuts.move : texts.move[to]} onClose={onClose}>
      <Form onSubmit={submit}>
        {choices.length > 1 && (
          <div className="field">
            <label htmlFor="move-to">{texts.move.to}</label>
            <select id="move-to" value={to} onChange={({ target }) => setChosen(choices[target.selectedIndex])}>
              {choices.map((choice) => (
                <option key={choice.to} value={choice.to}>
                  {texts.status[choice.to]}
                </option>
              ))}
            </select>
          </div>
        )}
        {needsReason && (
          <TextField
            multiline
            required
            maxLength={500}
            rows={3}
            label={texts.move.reason}
            {...(hasReader && { hint: texts.move.reasonHint })}
            value={reason}
            onText={setReason}
          />
        )}
        {to === 'duplicate' && <Originals ofId={seen.id} chosen={duplicateOf} onChoose={setDuplicateOf} />}
        {move.error !== null && <ErrorNotice error={move.error} />}
        <p className="row">
          <button type="button" onClick={onClose}>
            {texts.cancel}
          </button>
          <button
            type="submit"
            className="primary"
            disabled={move.isPending || (to === 'duplicate' && duplicateOf === '')}
          >
            {texts.move[to]}
          </button>
        </p>
      </Form>
    </Dialog>
  );
}

type OriginalsProps = Readonly<{ ofId: string; chosen: string; onChoose: (id: string) => void }>;

/** Finds the complaint that another one repeats. */
function Originals({ ofId, chosen, onChoose }: OriginalsProps) {
  const texts = useTexts();
  const [q, setQ] = useState('');
  const query = useInfiniteQuery({ ...complaintsQuery({ q, limit: 10 }), enabled: q !== '' });
  const found = query.data?.pages.flatMap(({ items }) => items) ?? [];
  const others = found.filter(({ id, status }) => id !== ofId && status !== 'duplicate');
  return (
    <>
      <TextField
        required
        type="search"
        maxLength={200}
        label={texts.move.duplicateOf}
        hint={texts.move.duplicateHint}
        value={q}
        onText={(text) => {
          setQ(text.trimStart());
          onChoose('');
        }}
      />
      <fieldset className="stack" aria-label={texts.move.duplicateOf}>
        {others.map(({ id, number, title, location }) => (
          <label className="check" key={id}>
            <input type="radio" name="original" required checked={chosen === id} onChange={() => onChoose(id)} />
            {[number, title, location?.address].filter(Boolean).join(' · ')}
          </label>
        ))}
        {query.data !== undefined && others.length === 0 && <p role="status">{texts.queue.empty}</p>}
      </fieldset>
    </>
  );
}

type Props = Readonly<{
  complaint: Complaint;
  assign: ReturnType<typeof useAssign>;
  mayTake: boolean;
  onAssign: () => void;
}>;

export function Assignment({ complaint, assign, mayTake, onAssign }: Props) {
  const texts = useTexts();
  const { user } = useSession();
  const { assignee_id: assignee, assignee_name: name } = complaint;
  return (
    <section className="card" aria-labelledby="assignment">
      <h2 id="assignment">{texts.work.assignee}</h2>
      <p>
        {assignee === null && texts.queue.unassigned}
        {assignee !== null && (assignee === user.id ? texts.you : nameText(texts, name))}
      </p>
      {complaint.allowed.assign && (
        <p className="row">
          {mayTake && (
            <button type="button" disabled={assign.isPending} onClick={() => assign.mutate(user.id)}>
              {texts.shortcuts.take}
            </button>
          )}
          <button type="button" onClick={onAssign}>
            {texts.work.assign} …
          </button>
          {assignee !== null && (
            <button type="button" disabled={assign.isPending} onClick={() => assign.mutate(undefined)}>
              {texts.work.unassign}
            </button>
          )}
        </p>
      )}
      {assign.error !== null && <ErrorNotice error={assign.error} />}
    </section>
  );
}

type AssignDialogProps = Readonly<{
  seen: Seen;
  current: string | null;
  onClose: () => void;
}>;

export function AssignDialog({ seen, current, onClose }: AssignDialogProps) {
  const texts = useTexts();
  const assign = useAssign(seen);
  const query = useQuery(agentsQuery);
  const [chosen, setChosen] = useState(current ?? '');
  return (
    <Dialog title={texts.work.assign} onClose={onClose}>
      {query.data === undefined && <Waiting query={query} />}
      {query.data !== undefined && (
        <Form onSubmit={() => assign.mutate(chosen, { onSuccess: onClose })}>
          <div className="field">
            <label htmlFor="assignee">{texts.work.assignTo}</label>
            <select id="assignee" required value={chosen} onChange={({ target }) => setChosen(target.value)}>
              <option value="" disabled />
              {query.data.map(({ id, display_name: name, email }) => (
                <option key={id} value={id}>
                  {name ?? email}
                </option>
              ))}
            </select>
          </div>
          {assign.error !== null && <ErrorNotice error={assign.error} />}
          <p className="row">
            <button type="button" onClick={onClose}>
              {texts.cancel}
            </button>
            <button type="submit" className="primary" disabled={assign.isPending}>
              {texts.work.assign}
            </button>
          </p>
        </Form>
      )}
    </Dialog>
  );
}
