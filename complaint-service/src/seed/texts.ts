/** A subject of complaints, and the texts about it. */
export type Case = Readonly<{
  title: string;
  description: string;
  /** The first answer of staff. */
  answer: string;
  /** The complainant's reply. */
  reply: string;
  note: string;
  /** The comment of staff when it is resolved. */
  done: string;
}>;

export type Topic = Readonly<{
  category: string;
  description: string;
  firstAnswerHours: number;
  resolutionHours: number;
  /** The reason why staff reject a complaint of this category. */
  rejected: string;
  cases: readonly Case[];
}>;

export const topics: readonly Topic[] = [
  {
    category: 'Lighting',
    description: 'Street lights and lights in shared stairs',
    firstAnswerHours: 24,
    resolutionHours: 14 * 24,
    rejected: 'The light belongs to the railway company. We have passed it on.',
    cases: [
      {
        title: 'Street light out at the crossing',
        description:
          'The light above the zebra crossing has been dark since Monday. Children cross there before eight.',
        answer: 'Thank you. We send a crew this week. Is it the light on the side of the bakery?',
        reply: 'Yes, the one next to the bakery.',
        note: 'Third report from this crossing since autumn. Ask for the cable to be measured.',
        done: 'The lamp and its fuse were replaced this morning.',
      },
      {
        title: 'Lamp flickers all night',
        description: 'The lamp in front of our bedroom flickers from ten in the evening until dawn.',
        answer: 'Our electricians look at it on their next round.',
        reply: 'It was worse last night, and it hums now.',
        note: 'Same model as the ones that were recalled. Check the warranty.',
        done: 'The ballast was faulty. We replaced it, and checked the two lamps beside it.',
      },
      {
        title: 'No light on the stairs',
        description: 'Between the second and the third floor the light stays off. My mother nearly fell yesterday.',
        answer: 'We are sorry. The caretaker has put up a lamp with a battery until it is repaired.',
        reply: 'Thank you, that helps for now.',
        note: 'The motion sensor is out of stock until Thursday.',
        done: 'The sensor was replaced. The light stays on for three minutes now.',
      },
      {
        title: 'Street lights burn by day',
        description: 'All lights of the street are on at noon. That has been so for a week.',
        answer: 'Thank you. It is probably the twilight switch of the street.',
        reply: 'The street behind ours has the same.',
        note: 'Both streets hang on the same cabinet.',
        done: 'The twilight switch was replaced. Both streets follow it.',
      },
    ],
  },
  {
    category: 'Roads',
    description: 'Holes, signs and pavements',
    firstAnswerHours: 24,
    resolutionHours: 21 * 24,
    rejected: 'This road belongs to the county. Please report it to the county roads office.',
    cases: [
      {
        title: 'Pothole in the right lane',
        description: 'About half a meter wide and as deep as a hand. Cars swerve into the other lane to avoid it.',
        answer: 'We have put up a warning sign, and fill it as soon as it is dry.',
        reply: 'The sign was blown over by the wind.',
        note: 'Was filled with cold mix in March. This time it needs to be milled.',
        done: 'The lane was milled and paved again over ten meters.',
      },
      {
        title: 'Loose paving stones on the footpath',
        description: 'Five stones rock when one steps on them. A neighbor with a walker got stuck there.',
        answer: 'Our pavers come on Wednesday. Until then the place is marked.',
        reply: 'Two more are loose after the rain.',
        note: 'The sand below was washed out. Ask the waterworks about the pipe.',
        done: 'The bed was renewed, and all stones were laid again.',
      },
      {
        title: 'Road sign turned the wrong way',
        description: 'The one-way sign points into the street from the wrong side. Delivery vans follow it.',
        answer: 'Thank you, that is dangerous. A colleague is on the way.',
        reply: 'It is right again, but still loose.',
        note: 'The clamp is worn out. Bring a new one.',
        done: 'The sign has a new clamp, and no longer turns.',
      },
      {
        title: 'Curb broken at the bus stop',
        description: 'A truck broke the curb. Wheelchairs do not get onto the bus there.',
        answer: 'We have asked the bus company to stop ten meters further on.',
        reply: 'The drivers do so, thank you.',
        note: 'The haulier has admitted it. Its insurance pays.',
        done: 'The curb was replaced by one for low-floor buses.',
      },
    ],
  },
  {
    category: 'Noise',
    description: 'Building sites, venues and machines',
    firstAnswerHours: 8,
    resolutionHours: 7 * 24,
    rejected: 'We measured at the times you named. The noise stays below the limit.',
    cases: [
      {
        title: 'Building site starts at five',
        description:
          'The excavator starts at five in the morning, also on Saturdays. The permit on the fence says seven.',
        answer: 'Thank you for the photo of the permit. We call the site manager today.',
        reply: 'Today they began at half past five.',
        note: 'Second warning. The next one costs them the permit.',
        done: 'The company was fined, and keeps to seven now.',
      },
      {
        title: 'Loud music after midnight',
        description: 'The bar plays on its terrace until two. We cannot open our windows.',
        answer: 'The terrace has a permit until eleven. We visit the bar this weekend.',
        reply: 'Last weekend it was quiet, on Friday it was loud again.',
        note: 'Two other households report the same. See the neighbor’s complaint.',
        done: 'The bar closes its terrace at eleven, and has a limiter on its amplifier.',
      },
      {
        title: 'Air conditioner hums day and night',
        description: 'The unit on the roof of the supermarket hums. We hear it in every room.',
        answer: 'We measure on two evenings of this week. May we do so from your balcony?',
        reply: 'Yes, any evening after six.',
        note: 'Measured 48 dB at 22:00. The limit is 40.',
        done: 'The supermarket has replaced the bearing. We measured 36 dB.',
      },
    ],
  },
  {
    category: 'Waste',
    description: 'Bins, collection and dumped rubbish',
    firstAnswerHours: 24,
    resolutionHours: 5 * 24,
    rejected: 'The bins were outside after the truck had passed. They have to be there by six.',
    cases: [
      {
        title: 'Bins not emptied twice in a row',
        description: 'The truck passed us by on both Tuesdays. The bins overflow.',
        answer: 'We are sorry. A truck comes tomorrow morning, outside of the plan.',
        reply: 'It came, thank you. Will it come next Tuesday?',
        note: 'A new driver. The house is missing on the list of the tour.',
        done: 'Your house is on the list again. Next collection: Tuesday.',
      },
      {
        title: 'Rubbish dumped in the yard',
        description: 'A sofa, tires and paint cans lie behind the garages.',
        answer: 'We collect it on Thursday. Please leave the cans where they are.',
        reply: 'There is a refrigerator now, too.',
        note: 'An address on one of the parcels. Passed on to the public order office.',
        done: 'Everything was collected, and the office writes to the owner.',
      },
      {
        title: 'Paper container overflows',
        description: 'It is full on the day after each collection, and the wind takes the rest.',
        answer: 'We look at how full it is for a week, then decide on a second one.',
        reply: 'Most of it is cardboard of the new shop.',
        note: 'The shop has no contract of its own.',
        done: 'The shop has its own container now.',
      },
      {
        title: 'Rats near the bins',
        description: 'We saw three rats in daylight. One bin has no lid.',
        answer: 'The pest controller comes today. Please put no food into the open bin.',
        reply: 'None seen since yesterday.',
        note: 'Check the yard next door as well.',
        done: 'New bins with lids are in place. The pest controller comes once more in two weeks.',
      },
    ],
  },
  {
    category: 'Parks',
    description: 'Playgrounds, trees and benches',
    firstAnswerHours: 48,
    resolutionHours: 21 * 24,
    rejected: 'The garden is private. We have told its owner.',
    cases: [
      {
        title: 'Swing is broken',
        description: 'One chain of the swing has come off. It hangs at the height of a child’s head.',
        answer: 'We have closed the swing off, and ordered the part.',
        reply: 'The tape is gone, and children use it again.',
        note: 'The part arrives on Friday.',
        done: 'The swing has new chains on both sides.',
      },
      {
        title: 'Branch hangs over the path',
        description: 'A big branch broke in the storm, and hangs in the tree above the path to the school.',
        answer: 'The path is closed. The tree crew comes with the lift tomorrow.',
        reply: 'Thank you for being so quick.',
        note: 'The trunk is hollow. The tree expert should see it.',
        done: 'The branch is down, and the path is open. The tree can stay.',
      },
      {
        title: 'Bench without a seat',
        description: 'The bench at the pond has had no boards for a month. Older people used it to rest.',
        answer: 'Our carpenters make new boards. That takes about two weeks.',
        reply: 'Could it get an armrest as well?',
        note: 'Armrests are in stock.',
        done: 'The bench has new boards, and two armrests.',
      },
    ],
  },
  {
    category: 'Water',
    description: 'Leaks, drains and heating',
    firstAnswerHours: 4,
    resolutionHours: 2 * 24,
    rejected: 'The pipe is behind your own meter. A plumber has to repair it.',
    cases: [
      {
        title: 'Water in the cellar',
        description: 'The water is five centimeters deep, and rises. The electric meters are on that wall.',
        answer: 'The emergency crew is on the way. Please stay out of the cellar.',
        reply: 'They pump it out now. The water came from the wall.',
        note: 'A leak in the main. Closed between numbers 8 and 14.',
        done: 'The main was repaired, and the cellar is dry. Please send photos of the damage for the insurance.',
      },
      {
        title: 'Tap water is brown',
        description: 'Cold and warm water have been brown since this morning, in the whole house.',
        answer: 'The main was flushed nearby. Let it run for ten minutes. It is not harmful.',
        reply: 'It is clear in the kitchen, still brown in the bathroom.',
        note: 'Take a sample if it is not gone tomorrow.',
        done: 'The sample is fine. The filter of the house was cleaned.',
      },
      {
        title: 'Drain in the street is blocked',
        description: 'After rain the water stands up to the pavement, and runs into the entrance.',
        answer: 'The drain is cleaned before the weekend. More rain is expected then.',
        reply: 'It rained today: the water still stands there.',
        note: 'Roots in the pipe. Needs the camera.',
        done: 'The roots were cut, and the pipe got a new lining.',
      },
      {
        title: 'Heating is cold on the top floor',
        description: 'The radiators on the fifth floor stay cold. It is 15 degrees in the children’s room.',
        answer: 'A heating engineer comes this afternoon.',
        reply: 'It is warm in the living room now, not in the other rooms.',
        note: 'The pump is 22 years old. Order a new one before winter.',
        done: 'The pump was replaced, and all floors are warm.',
      },
    ],
  },
];

/** Categories of the demo tenants without complaints. */
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

export const reasons = {
  withdrawn: ['It works again.', 'Reported by mistake.'],
  reopened: ['It has started again after two days.', 'That helped for one day only.'],
} as const;
