import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { agentsQuery, categoriesQuery, complaintsQuery } from '../queries.ts';
import { type Complaint, isStaff, type Priority, type Transition, useSession } from '../session.ts';
import { useCategoryText } from '../texts/categories.ts';
import { nameText, useTexts } from '../texts/texts.ts';
import { FormDialog } from '../ui/dialog.tsx';
import { SelectField, TextField, useKeptText } from '../ui/field.tsx';
import { ErrorNotice, Waiting } from '../ui/state.tsx';
import { type Edit, type Seen, useAssign, useEdit, useMove } from './actions.ts';

type ButtonsProps = Readonly<{
  seen: Seen;
  next: readonly Transition[];
  /** Called for a transition that needs a reason. */
  onAsk: (transition: Transition) => void;
  /** Further buttons. */
  children?: ReactNode;
}>;

export function MoveButtons({ seen, next, onAsk, children }: ButtonsProps) {
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
        {children}
      </p>
      {move.error !== null && <ErrorNotice error={move.error} />}
    </>
  );
}

type DialogProps = Readonly<{
  seen: Seen;
  /** The new status, or several to choose from. */
  choices: readonly Transition[];
  onClose: () => void;
}>;

/** Asks for the fields that a status change needs, and makes the change. */
export function MoveDialog({ seen, choices, onClose }: DialogProps) {
  const texts = useTexts();
  const session = useSession();
  const move = useMove(seen);
  const [chosen, setChosen] = useState(choices[0]);
  const [reason, setReason] = useKeptText(`${seen.id} move`);
  const [duplicateOf, setDuplicateOf] = useState('');
  if (chosen === undefined) return null;
  const { to, reason_required: needsReason } = chosen;
  const submit = () => {
    const why = needsReason ? { reason: reason.trim() } : {};
    const original = to === 'duplicate' ? { duplicate_of: duplicateOf } : {};
    const onSuccess = () => {
      setReason('');
      onClose();
    };
    move.mutate({ to, ...why, ...original }, { onSuccess });
  };
  return (
    <FormDialog
      title={choices.length > 1 ? texts.shortcuts.move : texts.move[to]}
      action={texts.move[to]}
      change={move}
      isReady={to !== 'duplicate' || duplicateOf !== ''}
      onSubmit={submit}
      onClose={onClose}
    >
      {choices.length > 1 && (
        <SelectField
          label={texts.move.to}
          value={to}
          onChange={({ target }) => setChosen(choices[target.selectedIndex])}
          options={choices.map((choice) => [choice.to, texts.status[choice.to]])}
        />
      )}
      {needsReason && (
        <TextField
          multiline
          required
          maxLength={2_000}
          rows={3}
          label={to === 'resolved' ? texts.shortcuts.answer : texts.move.reason}
          {...(isStaff(session) && { hint: texts.move.reasonHint })}
          value={reason}
          onText={setReason}
        />
      )}
      {to === 'duplicate' && <Originals ofId={seen.id} chosen={duplicateOf} onChoose={setDuplicateOf} />}
    </FormDialog>
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
    <FormDialog
      title={texts.work.assign}
      action={texts.work.assign}
      change={assign}
      isReady={query.data !== undefined}
      onSubmit={() => assign.mutate(chosen, { onSuccess: onClose })}
      onClose={onClose}
    >
      {query.data === undefined && <Waiting query={query} />}
      {query.data !== undefined && (
        <SelectField
          label={texts.work.assignTo}
          none=""
          required
          value={chosen}
          onChange={({ target }) => setChosen(target.value)}
          options={query.data.map(({ id, display_name: name, email }) => [id, name ?? email ?? id])}
        />
      )}
    </FormDialog>
  );
}

type EditDialogProps = Readonly<{ seen: Seen; complaint: Complaint; onClose: () => void }>;

/** Changes the category, and for staff the priority. */
export function EditDialog({ seen, complaint: { category, priority }, onClose }: EditDialogProps) {
  const texts = useTexts();
  const categoryText = useCategoryText();
  const edit = useEdit(seen);
  const query = useQuery(categoriesQuery);
  const [wanted, setWanted] = useState<Edit>({});
  const staff = isStaff(useSession());
  const offered = query.data?.filter(({ active, name }) => active || name === category) ?? [];
  return (
    <FormDialog
      title={staff ? texts.shortcuts.edit : texts.complaint.edit}
      action={texts.save}
      change={edit}
      isReady={query.data !== undefined}
      onSubmit={() => edit.mutate(wanted, { onSuccess: onClose })}
      onClose={onClose}
    >
      {query.data === undefined && <Waiting query={query} />}
      {staff && (
        <SelectField
          label={texts.queue.priority}
          value={wanted.priority ?? priority}
          onChange={({ target }) => setWanted({ ...wanted, priority: target.value as Priority })}
          options={Object.entries(texts.priority)}
        />
      )}
      <SelectField
        label={texts.queue.category}
        value={wanted.category ?? category}
        onChange={({ target }) => setWanted({ ...wanted, category: target.value })}
        options={offered.map(({ name }) => [name, categoryText(name)])}
      />
    </FormDialog>
  );
}
