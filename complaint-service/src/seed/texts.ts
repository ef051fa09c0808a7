export type Topic = Readonly<{
  category: string;
  description: string;
  firstAnswerHours: number;
  resolutionHours: number;
  titles: readonly string[];
  details: readonly string[];
}>;

export const topics: readonly Topic[] = [
  {
    category: 'Lighting',
    description: 'Street lights and lights in shared stairs',
    firstAnswerHours: 24,
    resolutionHours: 14 * 24,
    titles: ['Street light out', 'Lamp flickers all night', 'No light in the stairs', 'Light burns by day'],
    details: ['It has been dark since Monday.', 'People cannot see the steps.', 'The lamp next to it works.'],
  },
  {
    category: 'Roads',
    description: 'Holes, signs and pavements',
    firstAnswerHours: 24,
    resolutionHours: 30 * 24,
    titles: ['Pothole in the right lane', 'Broken kerb', 'Road sign turned around', 'Loose paving stones'],
    details: ['A bicycle fell here this week.', 'The hole grows with every rain.', 'Cars swerve around it.'],
  },
  {
    category: 'Noise',
    description: 'Building sites, venues and machines',
    firstAnswerHours: 8,
    resolutionHours: 7 * 24,
    titles: ['Building site starts at five', 'Loud music after midnight', 'Humming air conditioner'],
    details: ['It happens every day, also on Sundays.', 'We measured 70 decibels.', 'The owner does not answer.'],
  },
  {
    category: 'Waste',
    description: 'Bins, collection and dumped rubbish',
    firstAnswerHours: 24,
    resolutionHours: 5 * 24,
    titles: ['Bins not emptied', 'Rubbish dumped in the yard', 'Paper container overflows', 'Broken bin lid'],
    details: ['The collection did not come twice.', 'There are rats now.', 'The pile grows every week.'],
  },
  {
    category: 'Parks',
    description: 'Playgrounds, trees and benches',
    firstAnswerHours: 48,
    resolutionHours: 30 * 24,
    titles: ['Swing is broken', 'Branch over the path', 'Bench without a seat', 'Fountain has no water'],
    details: ['Children play there in the afternoon.', 'The chain hangs on one side.', 'It fell in the last storm.'],
  },
  {
    category: 'Water',
    description: 'Leaks, drains and heating',
    firstAnswerHours: 4,
    resolutionHours: 2 * 24,
    titles: ['Water in the cellar', 'Tap water is brown', 'Blocked drain', 'Heating is cold'],
    details: ['The water is five centimetres deep.', 'It began this morning.', 'The caretaker is on leave.'],
  },
];

/** Categories of the demo tenants in which nothing was filed yet. */
export const quietCategories = [
  'Facilities',
  'Housing',
  'Billing',
  'Service',
  'Delivery',
  'Staff',
  'Safety',
  'General',
  'Other',
];

export const streets = ['Mill Lane', 'Station Road', 'Market Square', 'Church Street', 'Harbour Way', 'Garden Row'];

export const answers = [
  'Thank you. We send a crew this week.',
  'We have ordered the part that is missing.',
  'Our colleagues looked at it today.',
  'Can you tell us the nearest house number?',
];
export const replies = [
  'It is next to number 12.',
  'Thank you, that was quick.',
  'It is still the same.',
  'It has become worse.',
];
export const notes = [
  'Same place as last winter.',
  'Ask the contractor for the warranty.',
  'Third report from this street.',
];
export const reasons = {
  rejected: ['The road belongs to the county.', 'The noise stays below the limit.'],
  withdrawn: ['It works again.', 'Reported by mistake.'],
  duplicate: ['Reported before by a neighbour.'],
  reopened: ['It broke again after two days.', 'Only one of the two was repaired.'],
} as const;
