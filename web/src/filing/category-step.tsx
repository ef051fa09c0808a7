import { useQuery } from '@tanstack/react-query';
import { categoriesQuery } from '../queries.ts';
import { useTexts } from '../texts/texts.ts';
import { Form } from '../ui/form.tsx';
import { Waiting } from '../ui/state.tsx';
import type { DraftInUse } from './use-draft.ts';

type Props = Readonly<{ inUse: DraftInUse; onDone: () => void }>;

export function CategoryStep({ inUse: { draft, change }, onDone }: Props) {
  const texts = useTexts();
  const query = useQuery(categoriesQuery);
  if (query.data === undefined) return <Waiting query={query} />;
  const offered = query.data.filter(({ active }) => active);
  if (offered.length === 0) return <p className="notice">{texts.filing.noCategories}</p>;
  return (
    <Form onSubmit={onDone}>
      <fieldset className="choices">
        <legend>{texts.filing.category}</legend>
        {offered.map(({ id, name, description }) => (
          <label key={id}>
            <input
              type="radio"
              name="category"
              required
              value={name}
              checked={draft.category === name}
              onChange={() => change({ category: name })}
            />
            <span>
              <b>{name}</b>
              {description !== '' && <span className="muted">{description}</span>}
            </span>
          </label>
        ))}
      </fieldset>
      <p className="actions step-actions">
        <button type="submit" className="primary">
          {texts.next}
        </button>
      </p>
    </Form>
  );
}
