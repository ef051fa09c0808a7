import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useStored } from '../store.ts';
import { useTexts } from '../texts/texts.ts';
import { Dialog } from '../ui/dialog.tsx';
import { lastQueue, shortcutsEnabled, useShortcuts } from './navigation.ts';

/** The bar on every staff page, with the list of shortcuts and a link to the queue. */
export function StaffBar() {
  const texts = useTexts();
  const navigate = useNavigate();
  const [isOpen, setOpen] = useState(false);
  useShortcuts({
    '?': () => setOpen(true),
    u: () => void navigate({ to: '/queue', search: lastQueue.get().filters }),
  });
  return (
    <>
      <button
        type="button"
        className="icon"
        aria-label={texts.menu.shortcuts}
        title={`${texts.menu.shortcuts} (?)`}
        onClick={() => setOpen(true)}
      >
        ?
      </button>
      {isOpen && <ShortcutList onClose={() => setOpen(false)} />}
    </>
  );
}

const keys = [
  ['?', 'help'],
  ['u', 'queue'],
  ['/', 'search'],
  ['j', 'down'],
  ['k', 'up'],
  ['Enter', 'open'],
  ['i', 'take'],
  ['a', 'assign'],
  ['m', 'move'],
  ['e', 'edit'],
  ['r', 'answer'],
  ['n', 'note'],
  ['h', 'history'],
  ['Ctrl Enter', 'send'],
  ['Esc', 'leave'],
] as const;

function ShortcutList({ onClose }: { onClose: () => void }) {
  const { menu, shortcuts } = useTexts();
  const isEnabled = useStored(shortcutsEnabled);
  return (
    <Dialog title={menu.shortcuts} onClose={onClose}>
      <dl>
        {keys.map(([key, name]) => (
          <div key={key} className="row between">
            <dt>
              {key.split(' ').map((each) => (
                <kbd key={each}>{each}</kbd>
              ))}
            </dt>
            <dd>{shortcuts[name]}</dd>
          </div>
        ))}
      </dl>
      <label className="check">
        <input type="checkbox" checked={isEnabled} onChange={({ target }) => shortcutsEnabled.set(target.checked)} />
        {shortcuts.enabled}
      </label>
    </Dialog>
  );
}
