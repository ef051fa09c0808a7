import type { KeyboardEvent } from 'react';

/** Whether the options of a select are on the screen, where Enter chooses one of them. */
const isOpen = (field: Element): boolean => CSS.supports('selector(:open)') && field.matches(':open');

/** Sends a form with Ctrl or Command and Enter in any field, and with Enter alone in a select. */
export function sendByKey(event: KeyboardEvent<HTMLFormElement>): void {
  const { key, ctrlKey, metaKey, target, currentTarget: form } = event;
  const isClosedSelect = target instanceof HTMLSelectElement && !isOpen(target);
  if (key !== 'Enter' || !(ctrlKey || metaKey || isClosedSelect)) return;
  event.preventDefault();
  form.requestSubmit();
}
