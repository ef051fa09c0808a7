import type { Status } from '../domain/complaints/workflow.ts';

/** Categories, and the texts of their complaints: by the complainant, and by the staff that works on it. */
export const cases = [
  {
    category: 'Lighting',
    covers: 'Street lights and stairway lights',
    firstAnswerHours: 24,
    resolutionHours: 14 * 24,
    title: 'Street light out at the crosswalk',
    description: 'The light over the crosswalk has been out since Monday. Children cross there before 8 a.m.',
    answer: 'Thank you. We will send a crew this week. Is it the light on the bakery side?',
    reply: 'Yes, the one next to the bakery.',
    note: 'Third report from this crosswalk since last fall. Ask the crew to test the cable.',
    done: 'We replaced the lamp and its fuse this morning.',
    rejected: 'This light belongs to the railroad. We forwarded your report to them.',
  },
  {
    category: 'Roads',
    covers: 'Potholes, signs and sidewalks',
    firstAnswerHours: 24,
    resolutionHours: 21 * 24,
    title: 'Pothole in the right lane',
    description: 'It is about two feet wide and six inches deep. Cars swerve into the other lane to avoid it.',
    answer: 'We put up a warning sign, and will fill the pothole as soon as it is dry.',
    reply: 'The wind blew the sign over.',
    note: 'We filled this one with cold mix in March. This time the lane needs milling.',
    done: 'We milled and repaved thirty feet of the lane.',
    rejected: 'This is a county road. Please report the problem to the county road department.',
  },
  {
    category: 'Noise',
    covers: 'Construction sites, bars and machines',
    firstAnswerHours: 8,
    resolutionHours: 7 * 24,
    title: 'Construction starts at 5 a.m.',
    description: 'The excavator starts at 5 a.m., even on Saturdays. The permit on the fence says 7 a.m.',
    answer: 'Thank you for the photo of the permit. We will call the site manager today.',
    reply: 'They started at 5:30 a.m. today.',
    note: 'This is their second warning. After the next one, they lose the permit.',
    done: 'The company was fined and now starts at 7 a.m.',
    rejected: 'We measured at the times that you reported. The noise was below the limit.',
  },
  {
    category: 'Waste',
    covers: 'Trash bins, collection and illegal dumping',
    firstAnswerHours: 24,
    resolutionHours: 5 * 24,
    title: 'Trash not collected for two weeks',
    description: 'The truck skipped us on the last two Tuesdays. The bins are overflowing.',
    answer: 'We are sorry about this. An extra truck will come tomorrow morning.',
    reply: 'It came, thank you. Will it also come next Tuesday?',
    note: 'New driver. The house is missing from the route list.',
    done: 'Your house is back on the route. The next pickup is on Tuesday.',
    rejected: 'The bins were put out after the truck came. They must be out by 6 a.m.',
  },
  {
    category: 'Water',
    covers: 'Leaks, drains and heating',
    firstAnswerHours: 4,
    resolutionHours: 2 * 24,
    title: 'Water in the basement',
    description: 'The water is two inches deep and rising. The electric meters are on the same wall.',
    answer: 'An emergency crew is on its way. Please stay out of the basement.',
    reply: 'They are pumping it out now. The water came through the wall.',
    note: 'Leak in the water main. Shut off between numbers 8 and 14.',
    done: 'We repaired the water main, and the basement is dry. Please send us photos of the damage.',
    rejected: 'The leak is on your side of the meter. A plumber has to repair it.',
  },
] as const;
export type Case = (typeof cases)[number];

/** Further categories, without complaints. */
export const otherCategories = ['Billing', 'Facilities', 'Housing', 'Parks', 'Safety', 'Other'];

/** A comment with this text of the case, or the next status. */
export type Step = Status | 'answer' | 'reply' | 'note';

/** What happened to the older complaints. */
export const oldWays: readonly (readonly Step[])[] = [
  ['answer', 'assigned', 'in_progress', 'resolved', 'closed'],
  ['assigned', 'answer', 'in_progress', 'resolved', 'reopened', 'in_progress', 'resolved'],
  ['rejected'],
  ['withdrawn'],
  ['answer', 'assigned', 'note', 'in_progress', 'reply'],
];

/** What happened to the complaints of the last days. */
export const recentWays: readonly (readonly Step[])[] = [
  [],
  ['assigned', 'answer'],
  ['answer', 'assigned', 'note', 'in_progress', 'reply'],
  ['answer'],
];
