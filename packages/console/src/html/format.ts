const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Formats a length of time in one or two units, such as `3 min` or `2 h 5 min`. */
export function duration(ms: number): string {
  const whole = Math.max(0, ms);
  if (whole < 1) return '0 ms';
  if (whole < second) return `${Math.round(whole)} ms`;
  if (whole < minute) return `${Math.round(whole / second)} s`;
  if (whole < hour) return `${Math.floor(whole / minute)} min`;
  if (whole < day) return twoUnits(whole, hour, 'h', minute, 'min');
  return twoUnits(whole, day, 'd', hour, 'h');
}

function twoUnits(ms: number, unit: number, name: string, smaller: number, smallerName: string): string {
  const rest = Math.floor((ms % unit) / smaller);
  return `${Math.floor(ms / unit)} ${name}${rest === 0 ? '' : ` ${rest} ${smallerName}`}`;
}

/** Formats milliseconds with at most three digits, such as `0.42 ms` or `1.2 s`. */
export function milliseconds(ms: number | null): string {
  if (ms === null) return '–';
  if (ms < 10) return `${Number(ms.toFixed(2))} ms`;
  if (ms < 100) return `${Number(ms.toFixed(1))} ms`;
  return ms < second ? `${Math.round(ms)} ms` : `${Number((ms / second).toFixed(ms < 10 * second ? 2 : 1))} s`;
}

export function rate(perSec: number): string {
  if (perSec === 0) return '0';
  if (perSec < 0.01) return '<0.01';
  return perSec < 10 ? perSec.toFixed(2) : number(Math.round(perSec));
}

export const number = (value: number): string => value.toLocaleString('en-US');

export function percent(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '0 %';
  const share = (100 * part) / whole;
  return share < 0.1 ? '<0.1 %' : `${share >= 10 ? Math.round(share) : Number(share.toFixed(1))} %`;
}

export const bytes = (value: number): string => `${Math.round(value / 1024 / 1024)} MiB`;

/** Formats a time as `2026-11-26 09:41:07 UTC`. */
export const exact = (time: string): string => `${time.slice(0, 19).replace('T', ' ')} UTC`;
