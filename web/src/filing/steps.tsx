import { useQuery } from '@tanstack/react-query';
import { type ChangeEvent, useState } from 'react';
import { categoriesQuery } from '../queries.ts';
import { useCategoryText } from '../texts/categories.ts';
import { useTexts } from '../texts/texts.ts';
import { TextField } from '../ui/field.tsx';
import { Form } from '../ui/form.tsx';
import { Picture, Waiting } from '../ui/state.tsx';
import { type DraftInUse, maxPhotos } from './use-draft.ts';

/** What every step gets. */
type Step = Readonly<{ inUse: DraftInUse; onDone: () => void }>;
type LaterStep = Step & Readonly<{ onBack: () => void }>;

export function CategoryStep({ inUse: { draft, change }, onDone }: Step) {
  const texts = useTexts();
  const categoryText = useCategoryText();
  const query = useQuery(categoriesQuery);
  if (query.data === undefined) return <Waiting query={query} />;
  const offered = query.data.filter(({ active }) => active);
  if (offered.length === 0) return <p className="notice">{texts.filing.noCategories}</p>;
  return (
    <Form onSubmit={onDone}>
      <fieldset className="choices">
        <legend>{texts.filing.category}</legend>
        {offered.map(({ id, name, description }) => (
          <label className="card check" key={id}>
            <input
              type="radio"
              name="category"
              required
              value={name}
              checked={draft.category === name}
              onChange={() => change({ category: name })}
            />
            <span>
              <b>{categoryText(name)}</b>
              {description !== '' && <span className="muted">{categoryText(description)}</span>}
            </span>
          </label>
        ))}
      </fieldset>
      <p className="row step-actions">
        <button type="submit" className="primary">
          {texts.next}
        </button>
      </p>
    </Form>
  );
}

type PlaceProps = LaterStep & Readonly<{ isLocked: boolean; isSending: boolean }>;

export function PlaceStep({ inUse: { draft, photos, change }, isLocked, isSending, onBack, onDone }: PlaceProps) {
  const texts = useTexts();
  const categoryText = useCategoryText();
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
        <p className="muted">{categoryText(draft.category)}</p>
        <h3>{draft.title}</h3>
        <p className="prose">{draft.description}</p>
        {photos.length > 0 && (
          <p className="muted">
            {texts.filing.photos}: {photos.length}
          </p>
        )}
      </section>
      <p className="row step-actions">
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
      <p role="status" className="muted">
        {state === 'locating' && texts.filing.locating}
        {state === 'failed' && texts.filing.notLocated}
        {state === 'idle' && point !== undefined && texts.filing.located}
      </p>
    </div>
  );
}

export function TextStep({ inUse, onBack, onDone }: LaterStep) {
  const texts = useTexts();
  const { draft, change } = inUse;
  return (
    <Form onSubmit={onDone}>
      <TextField
        label={texts.filing.summary}
        hint={texts.filing.summaryHint}
        required
        maxLength={200}
        value={draft.title}
        onText={(title) => change({ title })}
      />
      <TextField
        multiline
        label={texts.filing.description}
        hint={texts.filing.descriptionHint}
        required
        maxLength={10_000}
        rows={6}
        value={draft.description}
        onText={(description) => change({ description })}
      />
      <Photos inUse={inUse} />
      <p className="row step-actions">
        <button type="button" onClick={onBack}>
          {texts.back}
        </button>
        <button type="submit" className="primary">
          {texts.next}
        </button>
      </p>
    </Form>
  );
}

function Photos({ inUse: { photos, addPhotos, removePhoto } }: { inUse: DraftInUse }) {
  const texts = useTexts();
  const [unreadable, setUnreadable] = useState<readonly string[]>([]);
  async function take({ currentTarget: input }: ChangeEvent<HTMLInputElement>): Promise<void> {
    const files = [...(input.files ?? [])];
    // Otherwise the same file could not be chosen again.
    input.value = '';
    setUnreadable(await addPhotos(files));
  }
  return (
    <div className="field">
      <b id="photos">
        {texts.filing.photos} <span className="muted">({texts.optional})</span>
      </b>
      <p className="muted" id="photos-hint">
        {texts.filing.photosHint}
      </p>
      {photos.length > 0 && (
        <ul className="photos" aria-labelledby="photos">
          {photos.map((photo) => (
            <li key={photo.id}>
              <Picture of={photo.file} alt={photo.file.name} />
              <button
                type="button"
                className="icon"
                aria-label={texts.remove(photo.file.name)}
                onClick={() => removePhoto(photo)}
              >
                ✕
              </button>
            </li>
          ))}
        </ul>
      )}
      {photos.length < maxPhotos && (
        <label className="button file">
          {texts.filing.addPhotos}
          <input
            type="file"
            accept="image/*"
            multiple
            aria-describedby="photos-hint"
            onChange={(event) => void take(event)}
          />
        </label>
      )}
      <div role="status">
        {unreadable.map((name) => (
          <p key={name} className="error">
            {texts.filing.unreadablePhoto(name)}
          </p>
        ))}
      </div>
    </div>
  );
}
