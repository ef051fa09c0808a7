import { eventually } from '@countersign/testing';
import { expect } from '@jest/globals';

/** Repeats a request until the response has this status. */
export const untilStatus = (status: number, send: () => Promise<Response>): Promise<Response> =>
  eventually(async () => {
    const answer = await send();
    expect([answer.status, answer.status === status ? '' : await answer.text()]).toEqual([status, '']);
    return answer;
  }, 60_000);
