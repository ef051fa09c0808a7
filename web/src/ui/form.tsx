import type { KeyboardEvent, ReactNode } from 'react';

/** Whether a select's options are visible, where Enter chooses one of them. */
const isOpen = (field: Element): boolean => CSS.supports('selector(:open)') && field.matches(':open');

/** Submits a form on Ctrl or Command with Enter in any field, and on Enter alone in a select. */
function submitByKey(event: KeyboardEvent<HTMLFormElement>): void {
  const { key, ctrlKey, metaKey, target, currentTarget: form } = event;
  const isClosedSelect = target instanceof HTMLSelectElement && !isOpen(target);
  if (key !== 'Enter' || !(ctrlKey || metaKey || isClosedSelect)) return;
  event.preventDefault();
  form.requestSubmit();
}

type Props = Readonly<{ onSubmit: (form: HTMLFormElement) => void; children: ReactNode }>;

/** A form that the page handles itself. */
export function Form({ onSubmit, children }: Props) {
  return (
    <form
      onKeyDown={submitByKey}
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit(event.currentTarget);
      }}
    >
      {children}
    </form>
  );
}
