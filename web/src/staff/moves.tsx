import type { Status } from '../client.ts';
import { useMove } from '../complaints/actions.ts';
import { useTexts } from '../texts/texts.ts';
import { ErrorNotice } from '../ui/state.tsx';
import { statusesWithReason } from '../workflow.ts';

type Props = Readonly<{
  seen: Readonly<{ id: string; etag: string }>;
  next: readonly Status[];
  /** Called for a status that needs a reason. */
  onAsk: (to: Status) => void;
}>;

/** A button for each possible next status. */
export function Moves({ seen, next, onAsk }: Props) {
  const texts = useTexts();
  const move = useMove(seen);
  return (
    <section className="card" aria-labelledby="moves">
      <h2 id="moves">{texts.work.moves}</h2>
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
    </section>
  );
}
