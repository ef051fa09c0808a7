import { type ChangeEvent, useState } from 'react';
import { useTexts } from '../texts/texts.ts';
import { TextField } from '../ui/field.tsx';
import { Form } from '../ui/form.tsx';
import { Picture } from '../ui/picture.tsx';
import { type DraftInUse, maxPhotos } from './use-draft.ts';

type Props = Readonly<{ inUse: DraftInUse; onBack: () => void; onDone: () => void }>;

export function TextStep({ inUse, onBack, onDone }: Props) {
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
      <p className="actions step-actions">
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
      <span className="label" id="photos">
        {texts.filing.photos} <span className="muted">({texts.optional})</span>
      </span>
      <p className="hint" id="photos-hint">
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
