import {
  type InputEvent,
  type InputHTMLAttributes,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
  useState,
} from 'react';
import { useSession } from '../session.ts';
import { useTexts } from '../texts/texts.ts';

type Common = Readonly<{ label: string; hint?: string; onText: (text: string) => void }>;
type InputProps = Common & InputHTMLAttributes<HTMLInputElement> & { multiline?: false };
type AreaProps = Common & TextareaHTMLAttributes<HTMLTextAreaElement> & { multiline: true };

/** A text field with its label. Like the service, a required field does not accept only spaces. */
export function TextField({ label, hint, onText, multiline, ...rest }: InputProps | AreaProps) {
  const texts = useTexts();
  const id = useId();
  const onInput = ({ currentTarget: field }: InputEvent<HTMLInputElement | HTMLTextAreaElement>) => {
    const isBlank = field.required && field.value !== '' && field.value.trim() === '';
    field.setCustomValidity(isBlank ? texts.blank : '');
    onText(field.value);
  };
  const given = { id, onInput, 'aria-describedby': hint === undefined ? undefined : `${id}-hint` };
  return (
    <div className="field">
      <label htmlFor={id}>
        {label} {rest.required !== true && <span className="muted">({texts.optional})</span>}
      </label>
      {hint !== undefined && (
        <p className="muted" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {multiline === true ? (
        <textarea {...(rest as TextareaHTMLAttributes<HTMLTextAreaElement>)} {...given} />
      ) : (
        <input {...(rest as InputHTMLAttributes<HTMLInputElement>)} {...given} />
      )}
    </div>
  );
}

type SelectProps = SelectHTMLAttributes<HTMLSelectElement> &
  Readonly<{
    label: string;
    /** The label of an empty choice. */
    none?: string | undefined;
    options: readonly (readonly [value: string, text: string])[];
  }>;

export function SelectField({ label, none, options, ...rest }: SelectProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={rest.id ?? id}>{label}</label>
      <select id={id} {...rest}>
        {none !== undefined && <option value="">{none}</option>}
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

/** A text that outlives its field, such as a dialog that was closed. Logging out removes it. */
export function useKeptText(name: string): readonly [text: string, keep: (text: string) => void] {
  const key = `countersign.text.${useSession().user.id}.${name}`;
  const [text, setText] = useState(() => sessionStorage.getItem(key) ?? '');
  return [
    text,
    (next) => {
      setText(next);
      sessionStorage.setItem(key, next);
    },
  ];
}
