import type { Draft } from './draft.ts';

export const steps = ['category', 'text', 'place'] as const;
export type Step = (typeof steps)[number];

export const readStep = ({ step }: Record<string, unknown>): { step: Step } => ({
  step: steps.find((each) => each === step) ?? 'category',
});

/**
 * Returns the step to show. Never skips an incomplete step. While the draft waits for a response, this is the last
 * step.
 */
export function stepFor(draft: Draft, wanted: Step): Step {
  if (draft.sent) return 'place';
  if (draft.category === '') return 'category';
  const hasText = draft.title.trim() !== '' && draft.description.trim() !== '';
  return wanted === 'place' && !hasText ? 'text' : wanted;
}
