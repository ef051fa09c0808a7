import { describe, expect, test } from '@jest/globals';
import { TimeSlots } from './time-slots.ts';

describe('time slots', () => {
  const step = { stepMs: 10, length: 3, columns: 2 };

  test('drops slots that are older than the ring', () => {
    const slots = new TimeSlots(step);
    slots.add(5, 0, 1);
    slots.add(12, 1, 2);
    slots.add(39, 0, 4);
    expect(slots.read(39)).toEqual({
      startMs: 10,
      columns: [
        [0, 0, 4],
        [2, 0, 0],
      ],
    });
  });

  test('are empty after a long pause', () => {
    const slots = new TimeSlots(step);
    slots.add(5, 0, 1);
    expect(slots.read(1_000_000).columns).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
  });

  test('adds to the newest slot if the clock is set back', () => {
    const slots = new TimeSlots(step);
    slots.add(25, 0, 1);
    slots.add(5, 0, 1);
    expect(slots.read(5)).toEqual({
      startMs: 0,
      columns: [
        [0, 0, 2],
        [0, 0, 0],
      ],
    });
  });
});
