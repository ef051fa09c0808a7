/** The texts of one generated complaint. */
export type Case = Readonly<{
  title: string;
  description: string;
  /** The first answer from staff. */
  answer: string;
  /** The complainant's reply. */
  reply: string;
  note: string;
  /** The staff comment when the complaint is resolved. */
  done: string;
}>;

export type Topic = Readonly<{
  category: string;
  description: string;
  firstAnswerHours: number;
  resolutionHours: number;
  /** The reason when staff reject a complaint in this category. */
  rejected: string;
  cases: readonly Case[];
}>;

export const topics: readonly Topic[] = [
  {
    category: 'Lighting',
    description: 'Street lights and stairway lights',
    firstAnswerHours: 24,
    resolutionHours: 14 * 24,
    rejected: 'This light belongs to the railroad. We forwarded your report to them.',
    cases: [
      {
        title: 'Street light out at the crosswalk',
        description: 'The light over the crosswalk has been out since Monday. Children cross there before 8 a.m.',
        answer: 'Thank you. We will send a crew this week. Is it the light on the bakery side?',
        reply: 'Yes, the one next to the bakery.',
        note: 'Third report from this crosswalk since last fall. Ask the crew to test the cable.',
        done: 'We replaced the lamp and its fuse this morning.',
      },
      {
        title: 'Street light flickers all night',
        description: 'The street light outside our bedroom flickers from 10 p.m. until dawn.',
        answer: 'Our electricians will check it on their next round.',
        reply: 'It was worse last night, and now it hums too.',
        note: 'Same model as the ones under warranty on Elm Street. Check this one too.',
        done: 'The ballast was faulty. We replaced it and checked the two lights next to it.',
      },
      {
        title: 'Stairway light is out',
        description: 'The light between the second and third floors does not turn on. My mother almost fell yesterday.',
        answer: 'We are sorry about this. The building manager put up a battery lamp until we can repair the light.',
        reply: 'Thank you, that helps for now.',
        note: 'The motion sensor is out of stock until Thursday.',
        done: 'We replaced the sensor. The light now stays on for three minutes.',
      },
      {
        title: 'Street lights on during the day',
        description: 'All the lights on our street have been on at noon for a week.',
        answer: 'Thank you. The light sensor is probably broken.',
        reply: 'The next street over has the same problem.',
        note: 'Both streets are on the same control cabinet.',
        done: 'We replaced the light sensor. The lights on both streets are off during the day again.',
      },
    ],
  },
  {
    category: 'Roads',
    description: 'Potholes, signs and sidewalks',
    firstAnswerHours: 24,
    resolutionHours: 21 * 24,
    rejected: 'This is a county road. Please report the problem to the county road department.',
    cases: [
      {
        title: 'Pothole in the right lane',
        description: 'It is about two feet wide and six inches deep. Cars swerve into the other lane to avoid it.',
        answer: 'We put up a warning sign, and will fill the pothole as soon as it is dry.',
        reply: 'The wind blew the sign over.',
        note: 'We filled this one with cold mix in March. This time the lane needs milling.',
        done: 'We milled and repaved thirty feet of the lane.',
      },
      {
        title: 'Loose paving stones on the sidewalk',
        description: 'Five stones wobble when you step on them. A neighbor with a walker got stuck there.',
        answer: 'A crew will come on Wednesday. We have marked the spot until then.',
        reply: 'Two more came loose after the rain.',
        note: 'The sand underneath washed out. Ask the water department about the pipe.',
        done: 'We replaced the sand and reset all the stones.',
      },
      {
        title: 'Road sign points the wrong way',
        description: 'The one-way sign points in the wrong direction, and delivery vans follow it.',
        answer: 'Thank you, that is dangerous. We are sending someone now.',
        reply: 'It points the right way again, but it is still loose.',
        note: 'The clamp is worn out. Bring a new one.',
        done: 'The sign has a new clamp and no longer turns.',
      },
      {
        title: 'Broken curb at the bus stop',
        description: 'A truck broke the curb. People in wheelchairs cannot board the bus there.',
        answer: 'We asked the bus company to stop thirty feet farther on.',
        reply: 'The drivers do that now, thank you.',
        note: 'The trucking company admitted it. Their insurance will pay.',
        done: 'We built a new curb that fits low-floor buses.',
      },
    ],
  },
  {
    category: 'Noise',
    description: 'Construction sites, bars and machines',
    firstAnswerHours: 8,
    resolutionHours: 7 * 24,
    rejected: 'We measured at the times that you reported. The noise was below the limit.',
    cases: [
      {
        title: 'Construction starts at 5 a.m.',
        description: 'The excavator starts at 5 a.m., even on Saturdays. The permit on the fence says 7 a.m.',
        answer: 'Thank you for the photo of the permit. We will call the site manager today.',
        reply: 'They started at 5:30 a.m. today.',
        note: 'This is their second warning. After the next one, they lose the permit.',
        done: 'The company was fined and now starts at 7 a.m.',
      },
      {
        title: 'Loud music after midnight',
        description: 'The bar plays music on its patio until 2 a.m. We cannot open our windows.',
        answer: 'The patio has a permit until 11 p.m. We will visit the bar this weekend.',
        reply: 'It was quiet last weekend, but loud again on Friday.',
        note: 'Two other households reported the same thing. See the neighbor’s complaint.',
        done: 'The bar now closes its patio at 11 p.m. and has a volume limiter.',
      },
      {
        title: 'Air conditioner hums day and night',
        description: 'The unit on the supermarket’s roof hums. We hear it everywhere in our apartment.',
        answer: 'We will measure the noise on two evenings this week. Could we do that from your balcony?',
        reply: 'Yes, any evening after six.',
        note: 'Measured 48 dB at 10 p.m. The limit is 40 dB.',
        done: 'The supermarket replaced the bearing. We now measure 36 dB.',
      },
    ],
  },
  {
    category: 'Waste',
    description: 'Trash bins, collection and illegal dumping',
    firstAnswerHours: 24,
    resolutionHours: 5 * 24,
    rejected: 'The bins were put out after the truck came. They must be out by 6 a.m.',
    cases: [
      {
        title: 'Trash not collected for two weeks',
        description: 'The truck skipped us on the last two Tuesdays. The bins are overflowing.',
        answer: 'We are sorry about this. An extra truck will come tomorrow morning.',
        reply: 'It came, thank you. Will it also come next Tuesday?',
        note: 'New driver. The house is missing from the route list.',
        done: 'Your house is back on the route. The next pickup is on Tuesday.',
      },
      {
        title: 'Trash dumped in the yard',
        description: 'Someone left a sofa, tires and paint cans behind the garages.',
        answer: 'We will pick everything up on Thursday. Please leave the cans where they are.',
        reply: 'Now there is a refrigerator too.',
        note: 'One of the packages has an address. Forwarded to code enforcement.',
        done: 'We picked everything up. Code enforcement has notified the owner.',
      },
      {
        title: 'Paper recycling bin overflows',
        description: 'It is full the day after each pickup, and the wind scatters the paper.',
        answer: 'We will check it every day for a week, then decide about a second one.',
        reply: 'Most of it is cardboard from the new store.',
        note: 'The store has no pickup contract.',
        done: 'The store now has its own bin.',
      },
      {
        title: 'Rats near the bins',
        description: 'We saw three rats in broad daylight. One bin has no lid.',
        answer: 'Pest control will come today. Please do not put food in the open bin.',
        reply: 'We have not seen any since yesterday.',
        note: 'Check the yard next door as well.',
        done: 'You have new bins with lids. Pest control will come again in two weeks.',
      },
    ],
  },
  {
    category: 'Parks',
    description: 'Playgrounds, trees and benches',
    firstAnswerHours: 48,
    resolutionHours: 21 * 24,
    rejected: 'The yard is private property. We have notified the owner.',
    cases: [
      {
        title: 'Broken swing',
        description: 'One of the swing’s chains came off. It hangs at the height of a child’s head.',
        answer: 'We closed off the swing and ordered the part.',
        reply: 'The tape is gone, and children are using the swing again.',
        note: 'The part will arrive on Friday.',
        done: 'The swing has new chains on both sides.',
      },
      {
        title: 'Broken branch over the path',
        description: 'A big branch broke in the storm. It is stuck in the tree above the path to the school.',
        answer: 'We closed the path. The tree crew will come with a lift tomorrow.',
        reply: 'Thank you for being so quick.',
        note: 'The trunk is hollow. An arborist should look at it.',
        done: 'We removed the branch and opened the path. The tree is healthy enough to stay.',
      },
      {
        title: 'Bench has no seat',
        description:
          'The boards of the bench at the pond have been missing for a month. Older people used to rest there.',
        answer: 'Our carpenters are making new boards. That takes about two weeks.',
        reply: 'Could you add an armrest too?',
        note: 'Armrests are in stock.',
        done: 'The bench has new boards and two armrests.',
      },
    ],
  },
  {
    category: 'Water',
    description: 'Leaks, drains and heating',
    firstAnswerHours: 4,
    resolutionHours: 2 * 24,
    rejected: 'The leak is on your side of the meter. A plumber has to repair it.',
    cases: [
      {
        title: 'Water in the basement',
        description: 'The water is two inches deep and rising. The electric meters are on the same wall.',
        answer: 'An emergency crew is on its way. Please stay out of the basement.',
        reply: 'They are pumping it out now. The water came through the wall.',
        note: 'Leak in the water main. Shut off between numbers 8 and 14.',
        done: 'We repaired the water main, and the basement is dry. Please send us photos of the damage.',
      },
      {
        title: 'Tap water is brown',
        description: 'Both cold and hot water have been brown since this morning, in the whole building.',
        answer: 'We flushed a water main nearby. Let the water run for ten minutes. It is not harmful.',
        reply: 'It is clear in the kitchen, but still brown in the bathroom.',
        note: 'Take a sample if it is still brown tomorrow.',
        done: 'The sample is fine. We cleaned the building’s filter.',
      },
      {
        title: 'Storm drain is clogged',
        description: 'After rain, the water reaches the sidewalk and runs into the entrance.',
        answer: 'We will clean the drain before the weekend, when more rain is expected.',
        reply: 'It rained today, and the water still does not drain.',
        note: 'Roots in the pipe. Needs a camera inspection.',
        done: 'We cut the roots and relined the pipe.',
      },
      {
        title: 'No heat on the top floor',
        description: 'The radiators on the fifth floor stay cold. It is 59 degrees in the children’s bedroom.',
        answer: 'A heating technician will come this afternoon.',
        reply: 'The kitchen is warm now, but the bedrooms are not.',
        note: 'The pump is 22 years old. Order a new one before winter.',
        done: 'We replaced the pump, and all floors are warm.',
      },
    ],
  },
];

/** Further categories, without complaints. */
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

export const streets = ['Mill Lane', 'Station Road', 'Market Square', 'Church Street', 'Harbor Way', 'Garden Row'];

export const reasons = {
  withdrawn: ['It works again.', 'I reported this by mistake.'],
  reopened: ['It started again after two days.', 'That only helped for a day.'],
} as const;
