import { type InputEvent, type InputHTMLAttributes, type TextareaHTMLAttributes, useId } from 'react';
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
