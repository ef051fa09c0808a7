import { useEffect, useRef } from 'react';
import { stored } from '../store.ts';
import type { Filters } from './filters.ts';

/** The queue as last seen: its URL, and the order of its complaints. */
export const lastQueue = stored<Readonly<{ filters: Filters; ids: readonly string[]; openId?: string }>>({
  filters: {},
  ids: [],
});

/** Returns the complaint this many places after the given one. */
export function neighborOf(id: string, distance: 1 | -1): string | undefined {
  const { ids } = lastQueue.get();
  const at = ids.indexOf(id);
  return at === -1 ? undefined : ids[at + distance];
}

const storageKey = 'countersign.shortcuts';

/** Single-key shortcuts can be turned off, because speech input types them (WCAG 2.2, 2.1.4). */
export const shortcutsEnabled = stored(localStorage.getItem(storageKey) !== 'off');
shortcutsEnabled.subscribe(() => localStorage.setItem(storageKey, shortcutsEnabled.get() ? 'on' : 'off'));

const takesText = 'input:not([type="checkbox"], [type="radio"]), textarea, select, [contenteditable]';

/** Calls a pressed key's function, unless a field or dialog has the focus. Escape leaves a field. */
export function useShortcuts(actions: Readonly<Record<string, () => void>>): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const action = latest.current[event.key];
      if (document.querySelector('dialog[open]') !== null) return;
      if (event.target instanceof HTMLElement && event.target.matches(takesText)) {
        if (event.key !== 'Escape') return;
        // Otherwise the browser clears a search field.
        event.preventDefault();
        return event.target.blur();
      }
      const isModified = event.ctrlKey || event.metaKey || event.altKey;
      if (action === undefined || isModified || !shortcutsEnabled.get()) return;
      event.preventDefault();
      action();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}
