import type { KeyboardEvent } from 'react';

/** Whether a select's options are visible, where Enter chooses one of them. */
const isOpen = (field: Element): boolean => CSS.supports('selector(:open)') && field.matches(':open');

/** Submits a form on Ctrl or Command with Enter in any field, and on Enter alone in a select. */
export function sendByKey(event: KeyboardEvent<HTMLFormElement>): void {
  const { key, ctrlKey, metaKey, target, currentTarget: form } = event;
  const isClosedSelect = target instanceof HTMLSelectElement && !isOpen(target);
  if (key !== 'Enter' || !(ctrlKey || metaKey || isClosedSelect)) return;
  event.preventDefault();
  form.requestSubmit();
}
