import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Complaint } from '../client.ts';
import { type Seen, useAssign } from '../complaints/actions.ts';
import { agentsQuery } from '../queries.ts';
import { useSession } from '../session.ts';
import { useTexts } from '../texts/texts.ts';
import { Dialog } from '../ui/dialog.tsx';
import { Form } from '../ui/form.tsx';
import { ErrorNotice, Waiting } from '../ui/state.tsx';
import { isAssignable } from '../workflow.ts';

type Props = Readonly<{
  complaint: Complaint;
  assign: ReturnType<typeof useAssign>;
  mayTake: boolean;
  onAssign: () => void;
}>;

export function Assignment({ complaint, assign, mayTake, onAssign }: Props) {
  const texts = useTexts();
  const { user } = useSession();
  const { assignee_id: assignee, assignee_name: name, status } = complaint;
  return (
    <section className="card" aria-labelledby="assignment">
      <h2 id="assignment">{texts.work.assignee}</h2>
      <p>
        {assignee === null && texts.work.none}
        {assignee !== null && (assignee === user.id ? texts.you : (name ?? texts.unnamed))}
      </p>
      {isAssignable(status) && (
        <p className="actions">
          {mayTake && (
            <button type="button" disabled={assign.isPending} onClick={() => assign.mutate(user.id)}>
              {texts.work.take}
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

type DialogProps = Readonly<{
  seen: Seen;
  current: string | null;
  onClose: () => void;
}>;

export function AssignDialog({ seen, current, onClose }: DialogProps) {
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
          <p className="actions">
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
