import type { KeyboardEvent } from 'react';

/** Sends the form of a text area with Ctrl or Command and Enter. */
export function sendOnCtrlEnter(event: KeyboardEvent<HTMLElement>): void {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) event.currentTarget.closest('form')?.requestSubmit();
}
