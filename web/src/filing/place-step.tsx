import { useState } from 'react';
import { useTexts } from '../texts/texts.ts';
import { TextField } from '../ui/field.tsx';
import { Form } from '../ui/form.tsx';
import type { DraftInUse } from './use-draft.ts';

type Props = Readonly<{
  inUse: DraftInUse;
  isLocked: boolean;
  isSending: boolean;
  onBack: () => void;
  onDone: () => void;
}>;

export function PlaceStep({ inUse: { draft, photos, change }, isLocked, isSending, onBack, onDone }: Props) {
  const texts = useTexts();
  const left = draft.complaintId === undefined ? texts.filing.sending : texts.filing.sendingPhotos(photos.length);
  return (
    <Form onSubmit={onDone}>
      <fieldset disabled={isLocked}>
        <TextField
          label={texts.filing.address}
          hint={texts.filing.addressHint}
          maxLength={300}
          autoComplete="street-address"
          value={draft.address}
          onText={(address) => change({ address })}
        />
        <MyLocation point={draft.point} onPoint={(point) => change({ point })} />
      </fieldset>
      <section className="card">
        <p className="muted">{draft.category}</p>
        <h3>{draft.title}</h3>
        <p className="prose">{draft.description}</p>
        {photos.length > 0 && (
          <p className="muted">
            {texts.filing.photos}: {photos.length}
          </p>
        )}
      </section>
      <p className="actions step-actions">
        <button type="button" onClick={onBack} disabled={isLocked}>
          {texts.back}
        </button>
        <button type="submit" className="primary" disabled={isSending}>
          {draft.sent && !isSending ? texts.filing.sendAgain : texts.filing.submit}
        </button>
      </p>
      <p role="status" className="muted">
        {isSending && left}
      </p>
    </Form>
  );
}

type Point = DraftInUse['draft']['point'];
type LocationProps = Readonly<{ point: Point; onPoint: (point: Point) => void }>;

function MyLocation({ point, onPoint }: LocationProps) {
  const texts = useTexts();
  const [state, setState] = useState<'idle' | 'locating' | 'failed'>('idle');
  function locate(): void {
    setState('locating');
    navigator.geolocation.getCurrentPosition(
      ({ coords: { latitude, longitude } }) => {
        setState('idle');
        onPoint({ latitude, longitude });
      },
      () => setState('failed'),
      { enableHighAccuracy: true, timeout: 15_000 },
    );
  }
  return (
    <div className="field">
      <button
        type="button"
        disabled={state === 'locating'}
        onClick={() => (point === undefined ? locate() : onPoint(undefined))}
      >
        {point === undefined ? texts.filing.locate : texts.filing.forget}
      </button>
      <p role="status" className="hint">
        {state === 'locating' && texts.filing.locating}
        {state === 'failed' && texts.filing.notLocated}
        {state === 'idle' && point !== undefined && texts.filing.located}
      </p>
    </div>
  );
}
