import type { Status } from '../client.ts';
import { useTexts } from '../texts/texts.ts';
import { ErrorNotice } from '../ui/state.tsx';
import { statusesWithReason } from '../workflow.ts';
import { type Seen, useMove } from './actions.ts';

type Props = Readonly<{
  seen: Seen;
  next: readonly Status[];
  /** Called for a status that needs a reason. */
  onAsk: (to: Status) => void;
}>;

/** A button for each possible next status. */
export function MoveButtons({ seen, next, onAsk }: Props) {
  const texts = useTexts();
  const move = useMove(seen);
  return (
    <>
      <p className="actions">
        {next.map((to) => {
          const needsReason = statusesWithReason.includes(to);
          return (
            <button
              key={to}
              type="button"
              className={needsReason ? undefined : 'primary'}
              disabled={move.isPending}
              onClick={() => (needsReason ? onAsk(to) : move.mutate({ to }))}
            >
              {texts.move[to]}
            </button>
          );
        })}
      </p>
      {move.error !== null && <ErrorNotice error={move.error} />}
    </>
  );
}
