import { useState } from 'react';
import type { Status } from '../client.ts';
import { useTexts } from '../texts/texts.ts';
import { Dialog } from '../ui/dialog.tsx';
import { TextField } from '../ui/field.tsx';
import { Form } from '../ui/form.tsx';
import { ErrorNotice } from '../ui/state.tsx';
import { statusesWithReason } from '../workflow.ts';
import { type Seen, useMove } from './actions.ts';

type Props = Readonly<{
  seen: Seen;
  /** The new status, or several to choose from. */
  choices: readonly Status[];
  /** Whether the complainant will read the reason. */
  hasReader: boolean;
  onClose: () => void;
}>;

const uuid = '[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}';

/** Asks for the fields that a status change needs, and makes the change. */
export function MoveDialog({ seen, choices, hasReader, onClose }: Props) {
  const texts = useTexts();
  const move = useMove(seen);
  const [to, setTo] = useState(choices[0]);
  const [reason, setReason] = useState('');
  const [duplicateOf, setDuplicateOf] = useState('');
  if (to === undefined) return null;
  const needsReason = statusesWithReason.includes(to);
  const submit = () => {
    const why = needsReason ? { reason: reason.trim() } : {};
    const original = to === 'duplicate' ? { duplicate_of: duplicateOf.trim() } : {};
    move.mutate({ to, ...why, ...original }, { onSuccess: onClose });
  };
  return (
    <Dialog title={choices.length > 1 ? texts.move.title : texts.move[to]} onClose={onClose}>
      <Form onSubmit={submit}>
        {choices.length > 1 && (
          <div className="field">
            <label htmlFor="move-to">{texts.move.to}</label>
            <select id="move-to" value={to} onChange={({ target }) => setTo(target.value as Status)}>
              {choices.map((choice) => (
                <option key={choice} value={choice}>
                  {texts.status[choice]}
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
        {to === 'duplicate' && (
          <TextField
            required
            pattern={uuid}
            label={texts.move.duplicateOf}
            hint={texts.move.duplicateHint}
            value={duplicateOf}
            onText={setDuplicateOf}
          />
        )}
        {move.error !== null && <ErrorNotice error={move.error} />}
        <p className="actions">
          <button type="button" onClick={onClose}>
            {texts.cancel}
          </button>
          <button type="submit" className="primary" disabled={move.isPending}>
            {texts.move[to]}
          </button>
        </p>
      </Form>
    </Dialog>
  );
}
