import { Link } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { codeOf } from '../failure.ts';
import type { Priority, Status } from '../session.ts';
import { errorText, useTexts, useTimes } from '../texts/texts.ts';

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
    <div className="notice bad row between" role="alert">
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
  if (query.error !== null && codeOf(query.error) === 'not_found') return <NotFound text={texts.errors.not_found} />;
  if (query.error !== null) return <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />;
  return (
    <p className="muted" role="status">
      {texts.loading}
    </p>
  );
}

/** Shown for a page or complaint that does not exist. */
export function NotFound({ text }: { text?: string | undefined }) {
  const texts = useTexts();
  return (
    <section className="card empty">
      <h1>{texts.notFound.title}</h1>
      <p>{text ?? texts.notFound.text}</p>
      <Link to="/">{texts.notFound.home}</Link>
    </section>
  );
}

/** A time in words, with the exact value as its tooltip. `say` puts it into a sentence. */
export function Time({ of, say = (when) => when }: { of: string; say?: (when: string) => string }) {
  const times = useTimes();
  return (
    <time dateTime={of} title={times.moment(of)}>
      {say(times.inWords(of))}
    </time>
  );
}

/** Shows an image from memory. The content security policy allows `blob:` images for this. */
export function Picture({ of, alt }: { of: Blob; alt: string }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const made = URL.createObjectURL(of);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [of]);
  return url === undefined ? null : <img src={url} alt={alt} />;
}

/** Sets the page title. Undefined while it is unknown. */
export function useTitle(title: string | undefined): void {
  const { product } = useTexts();
  useEffect(() => {
    document.title = title === undefined ? product : `${title} – ${product}`;
  }, [title, product]);
}
