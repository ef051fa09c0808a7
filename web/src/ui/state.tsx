import type { Priority, Status } from '../client.ts';
import { codeOf } from '../failure.ts';
import { errorText, useTexts } from '../texts/texts.ts';

const tones: Readonly<Record<Status, string>> = {
  open: 'new',
  reopened: 'new',
  assigned: 'active',
  in_progress: 'active',
  resolved: 'good',
  closed: 'quiet',
  rejected: 'bad',
  duplicate: 'quiet',
  withdrawn: 'quiet',
};

export function StatusPill({ status }: { status: Status }) {
  return <span className={`pill ${tones[status]}`}>{useTexts().status[status]}</span>;
}

/** Shows only priorities that stand out. */
export function PriorityPill({ priority }: { priority: Priority }) {
  const texts = useTexts();
  if (priority === 'normal') return null;
  const tone = priority === 'low' ? 'quiet' : priority === 'high' ? 'warn' : 'bad';
  return <span className={`pill ${tone}`}>{texts.priority[priority]}</span>;
}

type NoticeProps = Readonly<{ error: unknown; onRetry?: (() => void) | undefined }>;

/** Explains an error by its code. */
export function ErrorNotice({ error, onRetry }: NoticeProps) {
  const texts = useTexts();
  return (
    <div className="notice bad" role="alert">
      <p>{errorText(texts, codeOf(error))}</p>
      {onRetry !== undefined && (
        <button type="button" onClick={onRetry}>
          {texts.retry}
        </button>
      )}
    </div>
  );
}

type QueryLike = Readonly<{ isPending: boolean; error: unknown; refetch: () => unknown }>;

/** Shown instead of data that is loading or cannot be loaded. */
export function Waiting({ query }: { query: QueryLike }) {
  const texts = useTexts();
  if (query.error !== null) return <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />;
  return (
    <p className="muted" role="status">
      {texts.loading}
    </p>
  );
}
