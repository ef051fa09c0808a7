import { getRouteApi, Link } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { useSession } from '../session.ts';
import { errorText, useTexts } from '../texts/texts.ts';
import { ErrorNotice, useTitle } from '../ui/state.tsx';
import { type Step, stepFor, steps } from './draft.ts';
import type { Filed } from './send-draft.ts';
import { CategoryStep, PlaceStep, TextStep } from './steps.tsx';
import { useDraft, useSending } from './use-draft.ts';

const route = getRouteApi('/new');

/** Filing has three steps. Each has its own URL, so that the browser's Back button works. */
export function NewComplaint() {
  const texts = useTexts();
  const { user } = useSession();
  const inUse = useDraft(user.id);
  const sending = useSending(inUse);
  const navigate = route.useNavigate();
  const step = stepFor(inUse.draft, route.useSearch().step);
  const heading = useRef<HTMLHeadingElement>(null);
  useTitle(texts.menu.file);
  useEffect(() => {
    if (step !== 'category') heading.current?.focus();
  }, [step]);

  if (sending.filed !== undefined) return <Done filed={sending.filed} onAnother={sending.reset} />;
  const go = (to: Step) => void navigate({ search: { step: to } });
  const { draft } = inUse;
  const discard = () => {
    if (!confirm(texts.filing.discardQuestion)) return;
    inUse.discard();
    sending.reset();
    go('category');
  };
  return (
    <div className="narrow stack">
      <h1>{texts.menu.file}</h1>
      <ol className="steps" aria-label={texts.filing.step(steps.indexOf(step) + 1, steps.length)}>
        {steps.map((each) => (
          <li key={each} aria-current={each === step ? 'step' : undefined}>
            {texts.filing.steps[each]}
          </li>
        ))}
      </ol>
      <h2 ref={heading} tabIndex={-1} className="sr-only">
        {texts.filing.step(steps.indexOf(step) + 1, steps.length)}: {texts.filing.steps[step]}
      </h2>
      {step === 'category' && <CategoryStep inUse={inUse} onDone={() => go('text')} />}
      {step === 'text' && <TextStep inUse={inUse} onBack={() => go('category')} onDone={() => go('place')} />}
      {step === 'place' && (
        <PlaceStep
          inUse={inUse}
          isLocked={draft.sent || sending.isPending}
          isSending={sending.isPending}
          onBack={() => go('text')}
          onDone={() => sending.send()}
        />
      )}
      {sending.error !== null && !sending.isPending && <ErrorNotice error={sending.error} />}
      {draft.sent && !sending.isPending && (
        <p className="notice warn">
          {draft.complaintId === undefined ? texts.filing.unclear : texts.filing.photosLeft}{' '}
          {sending.isOffline && texts.filing.resends}
        </p>
      )}
      {draft.category !== '' && !sending.isPending && (
        <button type="button" className="link" onClick={discard}>
          {texts.filing.discard}
        </button>
      )}
    </div>
  );
}

function Done({ filed, onAnother }: { filed: Filed; onAnother: () => void }) {
  const texts = useTexts();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <div className="narrow stack">
      <section className="card">
        <h1 ref={heading} tabIndex={-1}>
          {texts.filing.done}
        </h1>
        <p>{texts.filing.doneText}</p>
        {filed.refused.length > 0 && (
          <div className="notice warn">
            <p>{texts.filing.donePhotos}</p>
            <ul>
              {filed.refused.map(({ name, code }) => (
                <li key={name}>
                  {name}: {errorText(texts, code)}
                </li>
              ))}
            </ul>
          </div>
        )}
        <p className="row">
          <Link className="button primary" to="/complaints/$id" params={{ id: filed.id }}>
            {texts.shortcuts.open}
          </Link>
          <Link className="button" to="/new" search={{ step: 'category' }} onClick={onAnother}>
            {texts.filing.another}
          </Link>
        </p>
      </section>
    </div>
  );
}
